"""Errors as AWS reports them."""


class AwsError(Exception):
    """An error that the caller sees under AWS's own code and status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def unsupported(what: str) -> AwsError:
    """An honest refusal: AWS could do this, this machine's cloud does not, and does not pretend to."""
    return AwsError("UnsupportedOperation", f"{what} is not supported by runctl's local cloud.")
