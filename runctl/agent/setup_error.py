"""Why a training could not be started."""


class SetupError(Exception):
    """The code, the environment or the data could not be made ready: the user's, or to be seen by the user."""


class SetupCancelledError(Exception):
    """Somebody asked for the end while it was being made ready."""
