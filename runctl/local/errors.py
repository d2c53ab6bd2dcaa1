"""Errors of the local target."""

from runctl.errors import NotDeployedError, RunctlError


class LocalCloudError(RunctlError):
    """The local target could not do what was asked; the message says what and the hint where to look."""

    code = "local_cloud"
    exit_code = 6


class LocalCloudDown(NotDeployedError):
    """The local target is not up."""

    code = "local_cloud_down"


class ServerDidNotStart(LocalCloudError):
    """The emulator's process ended, or did not answer, before it was ready."""

    code = "local_cloud_did_not_start"


class FaultRefused(LocalCloudError):
    """The local cloud cannot do that to this machine or pool."""

    code = "fault_refused"
    exit_code = 2
