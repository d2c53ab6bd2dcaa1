"""Statuses and reasons: total maps, terminal states."""

import pytest

from runctl import errors
from runctl.model.status import EXIT_CODE_OF_REASON, STATUS_OF_REASON, TERMINAL_STATUSES, Reason, RunStatus


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_terminal_status_and_an_exit_code(reason: Reason) -> None:
    assert STATUS_OF_REASON[reason] in TERMINAL_STATUSES
    assert EXIT_CODE_OF_REASON[reason] in {0, 1, 2, 4, 5, 6, 130}


def test_only_completion_is_a_success() -> None:
    succeeded = {reason for reason, status in STATUS_OF_REASON.items() if status is RunStatus.SUCCEEDED}

    assert succeeded == {Reason.COMPLETED}
    assert {reason for reason, code in EXIT_CODE_OF_REASON.items() if code == 0} == {Reason.COMPLETED}


def test_limits_stop_a_run_and_do_not_fail_it() -> None:
    stopped = {reason for reason, status in STATUS_OF_REASON.items() if status is RunStatus.STOPPED}

    assert stopped == {Reason.TIMEOUT, Reason.BUDGET}
    assert {EXIT_CODE_OF_REASON[reason] for reason in stopped} == {5}


def _all_subclasses(parent: type) -> list[type]:
    return [child for direct in parent.__subclasses__() for child in (direct, *_all_subclasses(direct))]


ERRORS = [cls for cls in _all_subclasses(errors.RunctlError) if cls.__module__ == errors.__name__]


ENDINGS = [error for error in ERRORS if issubclass(error, errors.AttemptEnded) and error is not errors.AttemptEnded]


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: error.__name__)
def test_an_ending_has_the_exit_code_of_its_reason(error: type[errors.AttemptEnded]) -> None:
    assert error.exit_code == EXIT_CODE_OF_REASON[error.reason]


def test_error_codes_are_stable_names_and_unique() -> None:
    codes = [error.code for error in ERRORS if "code" in vars(error)]

    assert len(codes) == len(set(codes))
    assert all(code.isascii() and code == code.lower() and " " not in code for code in codes)
