"""The CDK app's stacks and constructs. Importing this package lets jsii find a Node.js."""

from stacks.node_runtime import use_bundled_node

use_bundled_node()
