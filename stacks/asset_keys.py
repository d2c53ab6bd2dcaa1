"""Where the built archives lie in the asset bucket: by their content."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AssetKeys:
    """What the template must know of the archives. Keys are `<sha256>` and the file's extension."""

    lambda_key: str
    agent_key: str
    agent_sha256: str
    bootstrap: str
    """Text of `runctl/agent/bootstrap.py`, with its placeholders."""
