"""What runs inside a machine: its first process, and how its process tree is found and ended."""
