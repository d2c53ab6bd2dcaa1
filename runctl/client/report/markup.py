"""Markup that cannot be broken by what users write: text is escaped unless it is markup already."""

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Final

_TERMINAL_CODES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Colours and the like that trainings print (ECMA-48: CSI and OSC sequences, and the short ones)."""

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What HTML does not allow in text, and what UTF-8 cannot hold."""

_EMPTY: Final = frozenset({"meta", "br"})
"""Void elements of HTML."""


class Html(str):
    """A piece of markup. Only this module makes one of text."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def printable(text: str) -> str:
    """The text without terminal codes; what cannot be shown is a replacement character."""
    return _UNPRINTABLE.sub("\ufffd", _TERMINAL_CODES.sub("", text))


def markup(*children: Child) -> Html:
    """Put pieces together; plain text among them is escaped."""
    return Html("".join(_piece(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """Make an element. `class_` is the attribute `class`, `stroke_width` is `stroke-width`; None leaves one out."""
    opening = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(opening if name in _EMPTY else f"{opening}{markup(*children)}</{name}>")


def style_sheet() -> Html:
    """The page's own style sheet, which is no user's text."""
    return Html(f"<style>{files('runctl.client.report').joinpath('style.css').read_text(encoding='utf-8')}</style>")


def document(body: Html) -> str:
    """Put the doctype before the root element."""
    return f"<!doctype html>\n{body}\n"


def _piece(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(printable(child))
    return "".join(_piece(each) for each in child)


def _attribute(key: str, value: object) -> str:
    if value is None:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f' {name}="{escape(printable(str(value)), quote=True)}"'
