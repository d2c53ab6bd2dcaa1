"""Which instance profiles machines may have."""

import pytest

from runctl.errors import PermissionDenied
from runctl.policy.instance_profiles import role_of

LISTED = "runctl-ssm-profile:AROAOWN,gpu:AROAGPU"


@pytest.mark.parametrize("asked", [None, "runctl-ssm-profile"])
def test_the_stacks_own_profile_is_the_launch_templates(asked: str | None) -> None:
    assert role_of(asked, LISTED) is None


def test_a_profile_that_was_allowed_brings_its_role() -> None:
    assert role_of("gpu", LISTED) == "AROAGPU"


@pytest.mark.parametrize("listed", [LISTED, "runctl-ssm-profile:AROAOWN", ""])
def test_any_other_is_refused_with_the_way_to_allow_it(listed: str) -> None:
    with pytest.raises(PermissionDenied, match="instance profile admin") as refused:
        role_of("admin", listed)

    assert "runctl deploy --allow-instance-profile admin" in refused.value.hint


def test_nothing_is_refused_where_nothing_was_asked_for() -> None:
    assert role_of(None, "") is None
