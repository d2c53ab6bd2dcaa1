"""Every code of AWS that a person meets is answered with its own sentence, hint and link."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from runctl import errors
from runctl.aws.errors import error_of
from runctl.errors import RunctlError
from runctl.model.aws_advice import ADVISED, advice_of, topic_of
from runctl.policy.refusals import error_of_refusals
from tests.policy.test_refusals import refused

EXPLAINED = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()

CASES: list[tuple[str, type[RunctlError], str, str]] = [
    # code, what it is to us, a word of the sentence, a word of the hint
    ("InsufficientInstanceCapacity", errors.CapacityUnavailable, "no machine of this type", "--capacity-timeout"),
    ("InsufficientCapacity", errors.CapacityUnavailable, "no machine of this type", "--instance-type"),
    ("InsufficientCapacityOnHost", errors.CapacityUnavailable, "no machine of this type", "--instance-type"),
    ("UnfulfillableCapacity", errors.CapacityUnavailable, "no machine of this type", "--instance-type"),
    ("SpotMaxPriceTooLow", errors.CapacityUnavailable, "on-demand price", "--fallback"),
    ("InsufficientFreeAddressesInSubnet", errors.CapacityUnavailable, "no private address left", "--subnets"),
    ("MaxSpotInstanceCountExceeded", errors.QuotaExceeded, "spot vCPUs", "All Spot Instance Requests"),
    ("MaxSpotFleetRequestCountExceeded", errors.QuotaExceeded, "spot vCPUs", "Service Quotas"),
    ("VcpuLimitExceeded", errors.QuotaExceeded, "on-demand vCPUs", "Running On-Demand"),
    ("InstanceLimitExceeded", errors.QuotaExceeded, "on-demand vCPUs", "Running On-Demand"),
    ("ResourceLimitExceeded", errors.QuotaExceeded, "not one of vCPUs", "runctl resources list"),
    ("TargetCapacityLimitExceededException", errors.QuotaExceeded, "not one of vCPUs", "Service Quotas"),
    ("Unsupported", errors.PoolUnsupported, "not offered in that Availability Zone", "another instance type"),
    ("UnauthorizedOperation", errors.PermissionDenied, "iam:PassRole", "decode-authorization-message"),
    ("AuthFailure", errors.PermissionDenied, "service-linked role", "decode-authorization-message"),
    ("Client.InternalError", errors.PermissionDenied, "key of KMS", "grant the key"),
    ("IdempotentParameterMismatch", errors.AwsError, "fault of runctl", "report it"),
    ("RequestLimitExceeded", errors.Throttled, "limits how often", "Nothing needs to be done"),
    ("InvalidAMIID.NotFound", errors.InvalidSpec, "machine image", "newest"),
    ("InvalidAMIID.Malformed", errors.InvalidSpec, "machine image", "newest"),
    ("InvalidParameterValue", errors.InvalidSpec, "names the field", "Correct it"),
    ("InvalidLaunchTemplateId.NotFound", errors.InvalidSpec, "launch template", "runctl deploy"),
    ("InvalidLaunchTemplateName.NotFoundException", errors.InvalidSpec, "launch template", "runctl deploy"),
    ("PendingVerification", errors.PermissionDenied, "account itself", "AWS Support"),
    ("OptInRequired", errors.PermissionDenied, "account itself", "AWS console"),
    ("Blocked", errors.PermissionDenied, "account itself", "AWS Support"),
]


@pytest.mark.parametrize(("code", "expected", "sentence", "hint"), CASES)
def test_code_is_answered_with_its_own_sentence_hint_and_link(
    code: str, expected: type[RunctlError], sentence: str, hint: str
) -> None:
    advice = advice_of(code)
    raised = error_of(ClientError({"Error": {"Code": code, "Message": "as AWS said it"}}, "CreateFleet"))
    told = error_of_refusals([refused(code)])

    assert advice is not None
    assert sentence in advice.sentence
    assert hint in advice.hint
    assert advice.page.startswith("https://docs.aws.amazon.com/")
    for error in (raised, told):
        assert type(error) is expected
        assert (error.hint, error.docs) == (advice.hint, f"docs/errors.md#{topic_of(code).lower()}")
        assert code in error.message


@pytest.mark.parametrize(("code", "expected", "sentence", "hint"), CASES)
def test_what_ends_a_run_says_what_to_do_in_its_message(
    code: str, expected: type[RunctlError], sentence: str, hint: str
) -> None:
    message = error_of_refusals([refused(code)]).message

    passes = expected in (errors.CapacityUnavailable, errors.Throttled)
    assert (sentence in message, hint in message) == (not passes, not passes)


def test_every_code_with_advice_is_explained_with_it_and_tried_here() -> None:
    assert {topic_of(code) for code, *_ in CASES} == set(ADVISED)
    for topic in ADVISED:
        advice = advice_of(topic)
        assert advice is not None
        section = EXPLAINED.split(f"## `{topic}`\n")[1].split("\n## ")[0]
        assert section.split("\n\n")[0].strip() == f"{advice.sentence}\n{advice.hint}\n[AWS on it]({advice.page})"


def test_there_is_no_advice_on_a_code_that_nobody_knows() -> None:
    assert (advice_of("NeverHeardOf"), topic_of("NeverHeardOf"), topic_of("")) == (None, "", "")
