"""What the gates look at."""

import copy
import json
import os
from typing import Any

import pytest

from stacks import build_assembly
from stacks.assembly.layout import ASSEMBLY
from tests.gates.definition import Definition
from tests.infrastructure.deployed_template import DeployedTemplate


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The synthesized template, built or found up to date."""
    os.environ.setdefault("CDK_VALIDATION", "false")
    build_assembly.main()
    body: dict[str, Any] = json.loads((ASSEMBLY / "template.json").read_bytes())
    return body


@pytest.fixture
def definition(template: dict[str, Any]) -> Definition:
    """The state machine's definition; each test has a copy of its own."""
    found: Definition = copy.deepcopy(DeployedTemplate(template, {}).state_machine)
    return found
