"""What the handlers call: observe through ports, decide with a policy, act."""
