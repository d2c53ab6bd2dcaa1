"""The one way in which ministack is changed: a named function, replaced after a look at what it is.

A mend rests on the inside of a pinned version. When ministack moves on, a mend must fail with a sentence at the start
and not hours later with a wrong answer, so that each one names the signature that it was written against.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

from runctl.local.errors import LocalCloudError

PINNED_VERSION: Final = "1.5.33"


class MendDoesNotFit(LocalCloudError):
    """The installed ministack is not the one that the mends were written for."""

    code = "mend_does_not_fit"


def require_pinned_version() -> None:
    """Refuse any ministack but the pinned one. Raises `MendDoesNotFit`."""
    found = version("ministack")
    if found != PINNED_VERSION:
        raise MendDoesNotFit(
            f"ministack {found} is installed; the local target is written for {PINNED_VERSION}.",
            hint=f"Install ministack=={PINNED_VERSION}.",
        )


def module(name: str) -> Any:
    """A module of ministack. It has no types of its own, hence `Any`."""
    return importlib.import_module(f"ministack.{name}")


def replace(owner: Any, name: str, signature: str, replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Put `replacement` in the place of `owner.name`, whose parameters must read `signature`; return the original.

    Raises `MendDoesNotFit` when there is no such function or its parameters are others.
    """
    where = f"{getattr(owner, '__name__', owner)}.{name}"
    original = getattr(owner, name, None)
    if not callable(original):
        raise MendDoesNotFit(f"ministack has no {where} to mend.", hint=f"Install ministack=={PINNED_VERSION}.")
    found = ", ".join(inspect.signature(original).parameters)
    if found != signature:
        raise MendDoesNotFit(
            f"{where} takes ({found}), and the mend was written for ({signature}).",
            hint=f"Install ministack=={PINNED_VERSION}.",
        )
    setattr(owner, name, replacement)
    return original


def replace_constant(owner: Any, name: str, was: object, value: object) -> None:
    """Set a constant that must have the value `was`. Raises `MendDoesNotFit` when it has another."""
    found = getattr(owner, name, None)
    if found != was:
        raise MendDoesNotFit(
            f"{owner.__name__}.{name} is {found!r}, and the mend was written for {was!r}.",
            hint=f"Install ministack=={PINNED_VERSION}.",
        )
    setattr(owner, name, value)
