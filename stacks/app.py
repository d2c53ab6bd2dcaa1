"""The CDK app around the stack."""

import json
from pathlib import Path
from typing import Final

from aws_cdk import App, cx_api

from runctl.model.names import STACK_NAME
from stacks.asset_keys import AssetKeys
from stacks.controller_stack import ControllerStack

_SAME_FOR_EVERYBODY: Final = {
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:enable-asset-metadata": False,
    "aws:cdk:version-reporting": False,
}
"""What the `cdk` command would switch on, and which would make its template another than that of the assembly."""


def build_app(keys: AssetKeys, outdir: Path | None = None) -> App:
    """The app with its one stack; without `outdir` the CDK's own settings choose the folder."""
    app = App(
        outdir=None if outdir is None else str(outdir), analytics_reporting=False, post_cli_context=_SAME_FOR_EVERYBODY
    )
    ControllerStack(app, STACK_NAME, asset_keys=keys)
    return app


def template_of(app: App) -> bytes:
    """Synthesize, and read the template as it is deployed, to the byte."""
    assembly: cx_api.CloudAssembly = app.synth()
    return Path(assembly.get_stack_by_name(STACK_NAME).template_full_path).read_bytes()


def publish_assets(app: App, files: dict[str, Path]) -> None:
    """Synthesize, and let `cdk deploy` upload the archives (by hash) to where the template looks by default.

    The template stays the same to the byte, for it names bucket and key itself; so the assembly's list of assets is
    all that changes. `add_file_asset` of the stack's synthesizer would do it, but jsii hands out the unbound original
    of a synthesizer that was made in Python.
    """
    assembly: cx_api.CloudAssembly = app.synth()
    listed = Path(assembly.directory) / f"{STACK_NAME}.assets.json"
    manifest = json.loads(listed.read_bytes())
    (template,) = manifest["files"].values()
    for sha256, path in files.items():
        manifest["files"][sha256] = {
            "displayName": path.name,
            "source": {"path": str(path.resolve()), "packaging": "file"},
            "destinations": {
                target: {**destination, "objectKey": f"{sha256}{path.suffix}"}
                for target, destination in template["destinations"].items()
            },
        }
    listed.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
