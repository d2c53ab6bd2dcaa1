"""Entry point of `cdk`: builds the archives and synthesizes the one stack. Needs no credentials."""

from stacks.app import build_app, publish_assets
from stacks.build_assembly import build_assets

assets = build_assets()
app = build_app(assets.keys)
publish_assets(app, assets.files)
