"""`runctl resume | download | checkpoint list`."""

from pathlib import Path
from typing import Any

from runctl.model.run import PurchaseOption, Run
from runctl.model.status import Reason, RunStatus
from tests.cli.command_line import CommandLine
from tests.client.deployment import a_run, an_attempt, with_code

EARLIER = "r-1hx3k7pabcde"


def _ended(runctl: CommandLine, *steps: int, **fields: Any) -> Run:
    attempt = an_attempt(EARLIER)
    ended = {"status": RunStatus.CANCELLED, "reason": Reason.CANCELLED}
    code = runctl.deployment.code.keep({"train.py": b"print(1)"})
    run = runctl.deployment.add(with_code(a_run(EARLIER, **(ended | fields)), code), attempt)
    for step in steps:
        name = f"step-{step}.npz"
        runctl.deployment.results.save(attempt, name, step, {name: f"weights {step}".encode()})
    return run


def _new(runctl: CommandLine) -> Run:
    (run,) = (run for run in runctl.deployment.runs.runs.values() if run.run_id != EARLIER)
    return run


# -- resume ----------------------------------------------------------------------------------------------------------


def test_resume_starts_a_new_run_and_says_what_it_goes_on_from(runctl: CommandLine) -> None:
    _ended(runctl, 100, 200)

    answer = runctl("resume", EARLIER)

    assert answer.exit_code == 0
    assert answer.stdout == f"{_new(runctl).run_id}\n"
    assert f"Resuming {EARLIER} from step-200.npz." in answer.stderr
    assert f"runctl logs {_new(runctl).run_id} -f" in answer.stderr


def test_workflow_resume_is_the_same_command(runctl: CommandLine) -> None:
    _ended(runctl, 100, 200)

    answer = runctl.json("workflow", "resume", "last")

    assert answer.data["resumed_from"]["run_id"] == EARLIER
    assert _new(runctl).resumed_from is not None


def test_resume_in_json_names_the_run_and_the_checkpoint(runctl: CommandLine) -> None:
    _ended(runctl, 100)

    data = runctl.json("resume", EARLIER).data

    assert data["run_id"] != EARLIER
    assert data["resumed_from"]["run_id"] == EARLIER
    assert (data["resumed_from"]["name"], data["resumed_from"]["step"]) == ("step-100.npz", 100)
    assert data["resumed_from"]["checkpoint"].endswith("/checkpoints/step-100.npz/manifest.json")


def test_flags_of_resume_replace_what_the_ended_run_asked_for(runctl: CommandLine) -> None:
    _ended(runctl, 100, 200)
    flags = ["--checkpoint", "step-100.npz", "--instance-type", "g5.xlarge", "--spot", "--max-runtime", "2h"]

    answer = runctl("resume", EARLIER, *flags, "--max-cost", "3", "--", "--epochs", "9")

    run = _new(runctl)
    assert answer.exit_code == 0
    assert (run.spec.instance_types, run.spec.purchase_option) == (("g5.xlarge",), PurchaseOption.SPOT)
    assert (run.spec.max_runtime_s, run.spec.max_cost_usd, run.spec.args) == (7_200, 3, ("--epochs", "9"))
    assert run.resumed_from is not None
    assert run.resumed_from.step == 100


def test_resume_asks_above_the_limit_as_train_does(runctl: CommandLine) -> None:
    _ended(runctl, 100)

    answer = runctl.json("resume", EARLIER, "--instance-type", "g5.xlarge")

    assert answer.exit_code == 2
    assert "--yes" in answer.error["hint"]
    assert len(runctl.deployment.runs.runs) == 1
    assert runctl("resume", EARLIER, "--instance-type", "g5.xlarge", "--yes").exit_code == 0


def test_open_succeeded_and_empty_runs_are_refused_with_a_hint(runctl: CommandLine) -> None:
    _ended(runctl, 100, status=RunStatus.RUNNING, reason=None)
    still_open = runctl.json("resume", EARLIER)
    _ended(runctl, status=RunStatus.SUCCEEDED, reason=Reason.COMPLETED)
    succeeded = runctl.json("resume", EARLIER)
    runctl.deployment.results.saved.clear()
    _ended(runctl)
    empty = runctl.json("resume", EARLIER)

    assert [answer.exit_code for answer in (still_open, succeeded, empty)] == [2, 2, 2]
    assert "runctl cancel" in still_open.error["hint"]
    assert "--force" in succeeded.error["hint"]
    assert "runctl train" in empty.error["hint"]
    assert len(runctl.deployment.runs.runs) == 1


def test_sync_code_sends_the_project_as_it_is_now(runctl: CommandLine, project: Path) -> None:
    (project / "train.py").write_text("print('mended')\n")
    earlier = _ended(runctl, 100, status=RunStatus.FAILED, reason=Reason.USER_ERROR)

    answer = runctl("resume", EARLIER, "--sync-code")

    assert answer.exit_code == 0
    assert "Sent the project" in answer.stderr
    assert _new(runctl).spec.code != earlier.spec.code


def test_status_of_a_resumed_run_shows_the_chain(runctl: CommandLine) -> None:
    _ended(runctl, 100)
    second = runctl("resume", EARLIER).stdout.strip()
    ended = runctl.deployment.runs.runs[second].model_copy(update={"status": RunStatus.CANCELLED})
    attempt = an_attempt(second)
    runctl.deployment.add(ended, attempt)
    runctl.deployment.results.save(attempt, "step-150.npz", 150, {"step-150.npz": b"x"})

    third = runctl("resume", second).stdout.strip()

    shown = runctl("status", third).stdout
    assert f"Resumes     {second} from step-150.npz, which resumed {EARLIER} from step-100.npz" in shown


# -- checkpoint list -------------------------------------------------------------------------------------------------


def test_checkpoint_list_shows_the_newest_first(runctl: CommandLine) -> None:
    _ended(runctl, 100, 200)

    text = runctl("checkpoint", "list", "last").stdout.splitlines()
    data = runctl.json("checkpoint", "list", "last").data

    assert text[0].split() == ["NAME", "STEP", "ATTEMPT", "SIZE", "SAVED", "(UTC)"]
    assert [line.split()[:3] for line in text[1:]] == [["step-200.npz", "200", "1"], ["step-100.npz", "100", "1"]]
    assert data["run_id"] == EARLIER
    assert data["checkpoints"][1] == {
        "name": "step-100.npz",
        "step": 100,
        "attempt": 1,
        "bytes": 11,
        "files": 1,
        "saved_at": "2026-11-24T09:31:40.000Z",
    }


def test_checkpoint_list_of_a_run_without_any_says_so(runctl: CommandLine) -> None:
    _ended(runctl)

    answer = runctl("checkpoint", "list", "last")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "no complete checkpoint" in answer.stderr


# -- download --------------------------------------------------------------------------------------------------------


def test_download_fetches_into_a_folder_of_the_runs_name(runctl: CommandLine, project: Path) -> None:
    _ended(runctl, 100, 200)
    runctl.deployment.results.leave(an_attempt(EARLIER), {"report.txt": b"fine"})

    answer = runctl("download", "last")

    assert answer.stdout.splitlines() == [f"{EARLIER}/checkpoints/step-200.npz", f"{EARLIER}/output/report.txt"]
    assert "Fetched 2 files, 15 B." in answer.stderr
    assert (project / EARLIER / "checkpoints/step-200.npz").read_bytes() == b"weights 200"


def test_download_in_json_lists_the_files_and_which_were_there(runctl: CommandLine) -> None:
    _ended(runctl, 100)
    runctl("download", "last", "--to", "here")

    data = runctl.json("download", "last", "--to", "here").data

    (file,) = data["files"]
    assert (data["folder"], data["checkpoint"], data["step"]) == ("here", "step-100.npz", 100)
    assert (file["path"], file["bytes"], file["fetched"]) == ("checkpoints/step-100.npz", 11, False)


def test_flags_of_download_choose_what_is_fetched(runctl: CommandLine, project: Path) -> None:
    run = _ended(runctl, 100, 200)
    runctl.deployment.results.leave(an_attempt(EARLIER), {"report.txt": b"fine"})
    runctl.deployment.logs.streams = {f"{run.run_id}/0001": ["a", "b"]}

    named = runctl.json("download", "last", "--checkpoint", "step-100.npz").data
    outputs = runctl.json("download", "last", "--outputs", "--logs").data

    assert [file["path"] for file in named["files"]] == ["checkpoints/step-100.npz"]
    assert [file["path"] for file in outputs["files"]] == ["output/report.txt"]
    assert outputs["logs"] == ["logs/0001.log"]
    assert (project / EARLIER / "logs/0001.log").read_text() == "a\nb\n"


def test_download_of_a_run_that_left_nothing_says_so(runctl: CommandLine) -> None:
    _ended(runctl)

    answer = runctl.json("download", "last")

    assert answer.exit_code == 3
    assert "no complete checkpoint and no output" in answer.error["message"]


def test_two_checkpoints_at_once_are_refused(runctl: CommandLine) -> None:
    _ended(runctl, 100)

    assert runctl("download", "last", "--latest", "--checkpoint", "step-100.npz").exit_code == 2


def test_damaged_file_ends_the_command_with_its_code(runctl: CommandLine) -> None:
    _ended(runctl, 100)
    for key in runctl.deployment.results.objects:
        runctl.deployment.results.objects[key] = b"other bytes"

    answer = runctl.json("download", "last")

    assert (answer.exit_code, answer.error["code"]) == (4, "download_damaged")
