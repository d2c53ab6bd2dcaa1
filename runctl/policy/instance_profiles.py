"""Which instance profile a run's machines may have: the stack's own, or one that was allowed at deployment."""

from runctl.errors import PermissionDenied


def role_of(asked: str | None, listed: str) -> str | None:
    """Find the unique id of the role in the instance profile asked for; None for the stack's own.

    `listed` is `name:role id`, separated by commas, the stack's own first. Raises PermissionDenied for any other.
    """
    profiles: dict[str, str] = {}
    for entry in filter(None, listed.split(",")):
        name, _, role_id = entry.rpartition(":")
        profiles[name] = role_id
    if asked is None or asked == next(iter(profiles), None):
        return None
    if asked not in profiles:
        allowed = ", ".join(profiles) or "none"
        raise PermissionDenied(
            f"Machines may not be launched with the instance profile {asked}; allowed are: {allowed}.",
            hint=f"Allow it first, with the others: runctl deploy --allow-instance-profile {asked}",
        )
    return profiles[asked]
