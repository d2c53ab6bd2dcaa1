"""What is told of a machine that did not become reachable: each cause in words, and the end of its console."""

import pytest

from runctl.model.ids import InstanceId
from runctl.model.machine import MachineState, MachineView
from runctl.policy.unready import what_was_seen

RUNNING = MachineView(
    instance_id=InstanceId("i-0123456789abcdef0"), state=MachineState.RUNNING, public_address="203.0.113.7"
)


def told(view: MachineView | None = RUNNING, console: str | None = "login:\n", *, online: bool | None = False) -> str:
    return what_was_seen(None if view is None else view.state, online, view, console)


def test_state_and_ssm_are_told_and_the_last_lines_of_the_console() -> None:
    text = told(console="one\n\ntwo\n three \nfour\n")

    assert text == 'EC2 says running, SSM says not online. Its console ends with: "two | three | four".'


def test_a_console_without_a_line_and_one_that_was_not_read_are_told_apart() -> None:
    assert told(console="\n").endswith("Its console shows nothing.")
    assert "console" not in told(console=None)


def test_a_long_console_is_cut() -> None:
    assert len(told(console="x" * 10_000)) < 420


def test_a_missing_instance_profile_is_named() -> None:
    view = RUNNING.model_copy(update={"has_instance_profile": False})

    assert "It has no instance profile" in told(view)
    assert "instance profile" not in told()


@pytest.mark.parametrize(
    "said",
    [
        "<urlopen error timed out>",
        "<urlopen error [Errno -2] Name or service not known>",
        "<urlopen error [Errno -3] Temporary failure in name resolution>",
        "<urlopen error [Errno 101] Network is unreachable>",
        "<urlopen error [Errno 113] No route to host>",
    ],
)
def test_no_way_to_aws_is_read_from_the_console(said: str) -> None:
    text = told(console=f"runctl: fetching the agent: {said}\n")

    assert "It found no way to AWS over HTTPS." in text
    assert said in text


def test_no_route_is_supposed_of_a_machine_without_a_public_address_that_ssm_does_not_hear() -> None:
    view = RUNNING.model_copy(update={"public_address": ""})

    assert "It may have no route to SSM: it has no public address, and perhaps no NAT." in told(view)
    assert "route" not in told(view, online=True)
    assert "route" not in told()


def test_a_missing_python_is_named() -> None:
    printed = "runctl: installing Python: no Python 3.11 or newer, and none could be installed\n"

    assert "It has no Python 3.11 or newer" in told(console=printed)


def test_a_role_that_may_not_read_the_archive_is_named() -> None:
    assert "refused the agent's archive" in told(console="runctl: fetching the agent: HTTP Error 403: Forbidden\n")


def test_somebody_elses_lines_are_no_cause() -> None:
    assert "no way to AWS" not in told(console="cloud-init: mirror timed out\nlogin:\n")


@pytest.mark.parametrize("state", [MachineState.PENDING, MachineState.STOPPED])
def test_of_a_machine_that_does_not_run_the_state_says_enough(state: MachineState) -> None:
    view = RUNNING.model_copy(update={"state": state, "has_instance_profile": False})

    assert told(view, console="") == f"EC2 says {state}, SSM says not online. Its console shows nothing."


def test_a_machine_that_ec2_does_not_know_is_said_to_be_unknown() -> None:
    assert told(None, None).startswith("EC2 does not know it")
