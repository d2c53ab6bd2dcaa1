"""Secrets of the training: read with the machine's role, and kept nowhere but in the training's environment."""

from collections.abc import Mapping
from typing import Protocol

from runctl.agent.setup_error import SetupError

ALLOWED = "a machine may read the parameters below /runctl/secrets/ and the secrets below runctl/"
"""What its role may read beside what was given to it: `runctl.model.keys` has the prefixes."""

_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})


class Secrets(Protocol):
    """Where secrets are kept."""

    def read(self, place: str) -> str:
        """Read `ssm:…` or `secretsmanager:…`. Raises OSError, with AWS's `code` where AWS answered."""
        ...


def read_secrets(places: Mapping[str, str], secrets: Secrets) -> dict[str, str]:
    """Read the value of each variable. Raises SetupError that names variable and place, and never a value."""
    return {name: _value(name, place, secrets) for name, place in places.items()}


def _value(name: str, place: str, secrets: Secrets) -> str:
    try:
        value = secrets.read(place)
    except OSError as error:
        refused = f"; {ALLOWED}" if getattr(error, "code", "") in _REFUSED else ""
        raise SetupError(f"the secret {name} ({place}) could not be read: {error}{refused}") from error
    if "\0" in value:
        raise SetupError(f"the secret {name} ({place}) has a zero byte, which no variable can hold")
    return value
