"""Execution environments of Lambda functions: forked in milliseconds from a process that has imported the libraries."""
