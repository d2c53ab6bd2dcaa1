"""The command line of runctl. Nothing heavy is imported before a command needs it."""
