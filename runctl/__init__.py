"""runctl trains models on EC2 with no server of its own.

Importing this package imports nothing else: the agent carries it to machines, and `runctl --help` must be quick.
"""

__version__ = "0.1.0"
