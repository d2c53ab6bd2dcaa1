"""Pages of long answers."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

from runctl.local.machines.wire.errors import AwsError

Item = TypeVar("Item")


def page(
    items: Iterable[Item],
    key: Callable[[Item], str],
    *,
    limit: int | None,
    token: str | None,
    invalid_token: AwsError,
    descending: bool = False,
) -> tuple[list[Item], str | None]:
    """One page in the order of `key`, and the token of the next page; `key` is unique to an item.

    A token names the last item of its page, so that items which come or go meanwhile move no page.
    """
    ordered = sorted(items, key=key, reverse=descending)
    if token:
        try:
            last = base64.b64decode(token, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise invalid_token from None
        ordered = [item for item in ordered if (key(item) < last if descending else key(item) > last)]
    if limit is None or len(ordered) <= limit:
        return ordered, None
    shown = ordered[:limit]
    return shown, base64.b64encode(key(shown[-1]).encode()).decode()
