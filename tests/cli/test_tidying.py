"""`runctl resources cleanup | stop-all`, `runctl checkpoint delete`: asked first, and nothing that is needed goes."""

from typing import Any

import pytest

from runctl.errors import AwsError
from runctl.model.ids import InstanceId
from runctl.model.run import PurchaseOption, ResumedFrom, Run
from runctl.model.status import Reason, RunStatus
from runctl.model.sweep import Deed, Sweep
from tests.cli.command_line import CommandLine
from tests.client.deployment import NOW, a_run, an_attempt

STRAY = InstanceId("i-0000000000000dead")
CREATION = "r-1hx3k7paaaaa"
MACHINE = "i-00000000000000001"


def a_sweep(*, dry_run: bool = True, **fields: Any) -> Sweep:
    return Sweep(at=NOW, dry_run=dry_run, machines=2, runs=1, **fields)


def stray_seen(runctl: CommandLine) -> None:
    """The reaper's first look finds a machine without a run, its second ends it."""
    runctl.deployment.reaper.sweeps = [
        a_sweep(upcoming=(Deed(instance_id=STRAY, text=f"The machine {STRAY} is to be ended."),)),
        a_sweep(dry_run=False, deeds=(Deed(instance_id=STRAY, text=f"The machine {STRAY} was ended."),)),
    ]


def answers(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    """Somebody answers the question."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: yes)


# -- cleanup ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("resources", "cleanup"), ("workflow", "cleanup")], ids=" ".join)
def test_cleanup_is_a_dry_run_where_nobody_can_be_asked(runctl: CommandLine, words: tuple[str, ...]) -> None:
    stray_seen(runctl)

    answer = runctl(*words)

    assert answer.exit_code == 0, answer
    assert answer.stdout == f"The machine {STRAY} is to be ended.\n"
    assert f"runctl {' '.join(words)} --yes" in answer.stderr
    assert [request.dry_run for request in runctl.deployment.reaper.requests] == [True]


@pytest.mark.parametrize("words", [("resources", "cleanup"), ("workflow", "cleanup")], ids=" ".join)
def test_cleanup_ends_what_it_has_shown(runctl: CommandLine, words: tuple[str, ...]) -> None:
    stray_seen(runctl)

    answer = runctl.json(*words, "--yes")

    last = runctl.deployment.reaper.requests[-1]
    assert (last.dry_run, last.confirmed) == (False, {STRAY})
    assert [deed["text"] for deed in answer.data["deeds"]] == [f"The machine {STRAY} was ended."]
    assert answer.data["dry_run"] is False


def test_cleanup_asks_at_a_terminal_and_a_no_ends_nothing(runctl: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    stray_seen(runctl)
    answers(monkeypatch, yes=False)

    answer = runctl("resources", "cleanup")

    assert answer.exit_code == 2
    assert f"The machine {STRAY} is to be ended." in answer.stderr
    assert len(runctl.deployment.reaper.requests) == 1


def test_cleanup_says_when_all_is_in_order(runctl: CommandLine) -> None:
    runctl.deployment.reaper.sweeps = [a_sweep()]

    answer = runctl("workflow", "cleanup", "--yes")

    assert "2 machines and 1 open run were looked at" in answer.stderr
    assert len(runctl.deployment.reaper.requests) == 1


# -- stop-all --------------------------------------------------------------------------------------------------------


def everything(runctl: CommandLine, option: PurchaseOption = PurchaseOption.ON_DEMAND) -> tuple[Run, Run]:
    """A run of ada's, a run of bob's, and a machine that ada keeps."""
    mine = runctl.deployment.add(a_run("r-1hx3k7pbbbbb", project="another"))
    theirs = runctl.deployment.add(a_run("r-1hx3k7pccccc", user="bob"))
    creation = a_run(CREATION, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    spec = creation.spec.model_copy(update={"keep_machine_s": 86_400})
    runctl.deployment.add(creation.model_copy(update={"spec": spec}), an_attempt(CREATION))
    runctl.deployment.machines.add(MACHINE, run_id=CREATION, purchase_option=option)
    return mine, theirs


def test_stop_all_lets_my_runs_save_and_stops_my_machines(runctl: CommandLine) -> None:
    mine, _ = everything(runctl)

    answer = runctl.json("resources", "stop-all", "--yes")

    (command,) = runctl.deployment.stopper.commands
    assert (command.run_id, command.now, command.requested_by) == (mine.run_id, False, "ada")
    assert runctl.deployment.machines.asked == [("stop", MACHINE)]
    assert answer.data == {"dry_run": False, "runs": [mine.run_id], "machines": [MACHINE]}


def test_stop_all_of_all_users_stops_theirs_too(runctl: CommandLine) -> None:
    runs = everything(runctl)

    answer = runctl.json("resources", "stop-all", "--all-users", "--yes")

    assert set(answer.data["runs"]) == {run.run_id for run in runs}


def test_stop_all_stops_nothing_unasked(runctl: CommandLine) -> None:
    mine, _ = everything(runctl)

    shown = runctl.json("resources", "stop-all", "--dry-run")
    refused = runctl("resources", "stop-all")

    assert shown.data["runs"] == [mine.run_id]
    assert refused.exit_code == 2
    assert "1 run and 1 machine" in refused.stderr
    assert (runctl.deployment.stopper.commands, runctl.deployment.machines.asked) == ([], [])


def test_stop_all_names_the_machines_that_go_on(runctl: CommandLine) -> None:
    everything(runctl, PurchaseOption.SPOT)

    answer = runctl("resources", "stop-all", "--yes")

    assert f"{MACHINE} of ada goes on: EC2 stops no spot machine" in answer.stderr
    assert runctl.deployment.machines.asked == []


def test_run_that_cannot_be_stopped_keeps_no_other_from_it(runctl: CommandLine) -> None:
    mine, theirs = everything(runctl)
    runctl.deployment.stopper.refused[mine.run_id] = AwsError("Lambda refused.")

    answer = runctl("resources", "stop-all", "--all-users", "--yes")

    assert answer.exit_code == 4
    assert "Lambda refused." in answer.stderr
    assert [command.run_id for command in runctl.deployment.stopper.commands] == [theirs.run_id]


def test_stop_all_says_when_there_is_nothing(runctl: CommandLine) -> None:
    answer = runctl("resources", "stop-all")

    assert answer.exit_code == 0
    assert "There is nothing to stop." in answer.stderr


# -- checkpoint delete -----------------------------------------------------------------------------------------------


def saved_run(runctl: CommandLine, **fields: Any) -> Run:
    """An ended run with three checkpoints; the third needs a file that the second brought."""
    attempt = an_attempt()
    run = runctl.deployment.add(a_run(**({"status": RunStatus.FAILED, "reason": Reason.USER_ERROR} | fields)), attempt)
    results = runctl.deployment.results
    results.save(attempt, "step-1", 1, {"weights": b"one"})
    shared = results.save(attempt, "step-2", 2, {"weights": b"two", "vocabulary": b"words"})
    third = results.save(attempt, "step-3", 3, {"weights": b"three"})
    results.saved[-1] = third.model_copy(update={"files": (*third.files, shared.files[1])})
    return run


def names(runctl: CommandLine) -> set[str]:
    return {manifest.name for manifest in runctl.deployment.results.saved}


def test_checkpoint_is_deleted_manifest_first_but_what_another_needs_stays(runctl: CommandLine) -> None:
    run = saved_run(runctl)

    answer = runctl.json("checkpoint", "delete", run.run_id, "step-2", "--yes")

    deleted = runctl.deployment.results.deleted
    assert answer.data["deleted"] == ["step-2"]
    assert answer.data["left"] == ["step-3", "step-1"]
    assert answer.data["freed_bytes"] == 3
    assert [key.partition("/checkpoints/")[2] for key in deleted] == ["step-2/manifest.json", "step-2/files/weights"]


def test_all_but_the_newest_are_deleted(runctl: CommandLine) -> None:
    run = saved_run(runctl)

    runctl("checkpoint", "delete", run.run_id, "--keep", "1", "--yes")

    assert names(runctl) == {"step-3"}
    assert {key.rpartition("/")[2] for key in runctl.deployment.results.objects} == {"weights", "vocabulary"}


def test_checkpoint_of_another_name_is_not_found(runctl: CommandLine) -> None:
    run = saved_run(runctl)

    answer = runctl("checkpoint", "delete", run.run_id, "step-9", "--yes")

    assert answer.exit_code == 3
    assert len(names(runctl)) == 3


def test_nothing_is_deleted_unasked(runctl: CommandLine) -> None:
    run = saved_run(runctl)

    shown = runctl.json("checkpoint", "delete", run.run_id, "--keep", "0", "--dry-run")
    refused = runctl("checkpoint", "delete", run.run_id, "--keep", "0")

    assert len(shown.data["deleted"]) == 3
    assert refused.exit_code == 2
    assert len(names(runctl)) == 3


def test_checkpoint_of_an_open_run_stays(runctl: CommandLine) -> None:
    run = saved_run(runctl, status=RunStatus.RUNNING, reason=None)

    answer = runctl("checkpoint", "delete", run.run_id, "step-1", "--yes")

    assert answer.exit_code == 2
    assert "has not ended" in answer.stderr
    assert len(names(runctl)) == 3


def test_checkpoint_that_an_open_run_goes_on_from_stays(runctl: CommandLine) -> None:
    run = saved_run(runctl)
    since = ResumedFrom(run_id=run.run_id, checkpoint="key", name="step-3", step=3)
    runctl.deployment.add(a_run("r-1hx3k7pbbbbb", resumed_from=since))

    answer = runctl("checkpoint", "delete", run.run_id, "step-1", "--yes")

    assert answer.exit_code == 2
    assert "r-1hx3k7pbbbbb" in answer.stderr
    assert len(names(runctl)) == 3


def test_checkpoint_of_somebody_elses_run_is_deleted_by_its_whole_id_only(runctl: CommandLine) -> None:
    run = saved_run(runctl, user="bob")

    by_a_prefix = runctl("checkpoint", "delete", "last", "step-1", "--yes")
    by_its_id = runctl("checkpoint", "delete", run.run_id, "step-1", "--yes")

    assert (by_a_prefix.exit_code, by_its_id.exit_code) == (2, 0)
    assert "bob's" in by_a_prefix.stderr


def test_names_or_a_number_say_which(runctl: CommandLine) -> None:
    run = saved_run(runctl)

    neither = runctl("checkpoint", "delete", run.run_id)
    both = runctl("checkpoint", "delete", run.run_id, "step-1", "--keep", "1")

    assert (neither.exit_code, both.exit_code) == (2, 2)
