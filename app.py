"""Entry point of `cdk`: builds the archives and synthesizes the one stack. Needs no credentials."""

import shutil

from stacks.app import build_app, publish_assets
from stacks.assembly.layout import KEPT
from stacks.build_assembly import build_assets

archives = KEPT / "cdk"  # `cdk deploy` uploads them after this has ended
shutil.rmtree(archives, ignore_errors=True)
assets = build_assets(archives)
app = build_app(assets.keys)
publish_assets(app, assets.files)
