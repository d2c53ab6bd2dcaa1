"""Errors that only the command line knows."""

from runctl.errors import RunctlError


class Interrupted(RunctlError):
    """Ctrl-C: the terminal lets go. Nothing on AWS is ended by it."""

    code = "interrupted"
    exit_code = 130


class Declined(RunctlError):
    """The question before a launch was answered with no, or could not be asked."""

    code = "declined"
    exit_code = 2


class Unexpected(RunctlError):
    """A fault of ours: an exception that nobody foresaw."""

    code = "internal"

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"Something went wrong inside runctl: {type(error).__name__}: {error}",
            hint="Run the command again with --verbose and report what it prints.",
        )
