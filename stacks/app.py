"""The CDK app around the stack."""

from pathlib import Path

from aws_cdk import App, FileAssetPackaging, cx_api

from runctl.model.names import STACK_NAME
from stacks.asset_keys import AssetKeys
from stacks.controller_stack import ControllerStack


def build_app(keys: AssetKeys, outdir: Path | None = None) -> App:
    """The app with its one stack; without `outdir` the CDK's own settings choose the folder."""
    app = App(outdir=None if outdir is None else str(outdir), analytics_reporting=False)
    ControllerStack(app, STACK_NAME, asset_keys=keys)
    return app


def publish_assets(app: App, files: dict[str, Path]) -> None:
    """Let `cdk deploy` upload the archives, by hash, where the template looks for them when AssetBucket is empty.

    The template stays the same to the byte: it names bucket and key itself.
    """
    stack = app.node.find_child(STACK_NAME)
    assert isinstance(stack, ControllerStack)
    for sha256, path in files.items():
        location = stack.synthesizer.add_file_asset(
            source_hash=sha256, file_name=str(path), packaging=FileAssetPackaging.FILE
        )
        assert location.object_key == f"{sha256}{path.suffix}", location.object_key


def template_of(app: App) -> bytes:
    """Synthesize, and read the template as it is deployed, to the byte."""
    assembly: cx_api.CloudAssembly = app.synth()
    return Path(assembly.get_stack_by_name(STACK_NAME).template_full_path).read_bytes()
