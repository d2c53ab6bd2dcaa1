"""`runctl train`: what is launched, what is asked first, what is answered."""

from tests.cli.command_line import CommandLine


def test_train_submits_the_run_and_answers_its_document(runctl: CommandLine) -> None:
    answer = runctl.json("train", "train.py", "--instance-type", "t3.micro", "--spot", "--", "--epochs", "3")

    assert answer.exit_code == 0, answer
    (run,) = runctl.deployment.runs.runs.values()
    assert answer.data["run_id"] == run.run_id
    assert run.spec.args == ("--epochs", "3")
    assert list(runctl.deployment.executions.started) == [run.run_id]


def test_target_account_and_region_are_told_first(runctl: CommandLine) -> None:
    answer = runctl("train", "train.py", "--instance-type", "t3.micro")

    assert answer.stderr.splitlines()[0] == "Target local, account 123456789012, region us-east-1."
    assert answer.stdout.strip() in runctl.deployment.runs.runs
