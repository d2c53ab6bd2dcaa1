"""What a person may ask for, and how it reads."""

from typing import Any

import pytest
from pydantic import ValidationError

from runctl.model.run import RunRequest


def _request(**fields: Any) -> RunRequest:
    return RunRequest(instance_types=("t3.micro",), **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"script": ""},
        {"script": "train.py", "command": ("torchrun",)},
        {"module": "kites.fit", "command": ("torchrun",)},
        {"command": ("", "x")},
        {"module": "-c"},
        {"module": "kites."},
        {"script": "../train.py"},
        {"script": "/train.py"},
    ],
)
def test_request_runs_one_thing(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _request(**fields)


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"script": "a/train.py", "args": ("--epochs", "3")}, "a/train.py"),
        ({"script": "kites/fit.py", "module": "kites.fit"}, "python -m kites.fit"),
        ({"module": "kites.fit"}, "python -m kites.fit"),
        ({"command": ("torchrun", "a b.py")}, "torchrun 'a b.py'"),
        ({"command": ("x" * 100,)}, "x" * 59 + "…"),
    ],
)
def test_label_reads_as_people_type_it(fields: dict[str, Any], label: str) -> None:
    assert _request(**fields).label == label
