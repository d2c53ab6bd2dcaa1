"""One synthesis and one build for all tests here: both take seconds."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks import build_assembly
from stacks.assembly.layout import ASSEMBLY
from tests.infrastructure.deployed_template import DeployedTemplate


@pytest.fixture(scope="session")
def assembly() -> Path:
    """`runctl/_assembly`, built or found up to date."""
    os.environ.setdefault("CDK_VALIDATION", "false")
    build_assembly.main()
    return ASSEMBLY


@pytest.fixture(scope="session")
def template_bytes(assembly: Path) -> bytes:
    """The template as it is delivered."""
    return (assembly / "template.json").read_bytes()


@pytest.fixture(scope="session")
def deploy(template_bytes: bytes) -> Callable[..., DeployedTemplate]:
    """Imagine a deployment with these parameters."""
    body = json.loads(template_bytes)

    def imagine(**parameters: str) -> DeployedTemplate:
        return DeployedTemplate(body, parameters)

    return imagine


@pytest.fixture(scope="session")
def template(deploy: Callable[..., DeployedTemplate]) -> DeployedTemplate:
    """The deployment with all defaults."""
    return deploy()
