"""Finds credentials in text. A finding names the kind and the line, never what was found."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_KINDS: Final = {
    # IAM User Guide, "IAM identifiers": prefixes of access key ids. Those of AWS's own documents end in EXAMPLE.
    "AWS access key id": re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)(?![A-Z2-7]{9}EXAMPLE)[A-Z2-7]{16}(?![A-Z0-9])"),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY(?: BLOCK)?-----"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})"),
    "PyPI token": re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    "Slack token or hook": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T[A-Z0-9]+/"),
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "credentials in an address": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}$<>\"']+:[^\s/:@{}$<>\"']{3,}@"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
}

_ASSIGNED: Final = re.compile(
    r"(?i)(?:secret|passwd|password|api_?key|access_?key|auth_?token)\w*[\"']?\s*[:=]\s*[\"']?(?P<value>[A-Za-z0-9+/_=-]{20,})"
)
_LEAST_BITS: Final = 3.7
"""Entropy a character of what is assigned to a name like `secret`. Words and file names have less, random base64 of 20
characters or more has more; hexadecimal digits never reach it, which is why hashes are not taken for secrets."""


@dataclass(frozen=True)
class Finding:
    """Where something stands that must not be published."""

    kind: str
    line: int


def find_secrets(text: str) -> Iterator[Finding]:
    """Look at each line."""
    for number, line in enumerate(text.splitlines(), start=1):
        for kind, pattern in _KINDS.items():
            if pattern.search(line):
                yield Finding(kind, number)
        for assigned in _ASSIGNED.finditer(line):
            value = assigned["value"]
            if any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and _bits(value) >= _LEAST_BITS:
                yield Finding("secret that is assigned", number)


def _bits(text: str) -> float:
    """Shannon entropy a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
