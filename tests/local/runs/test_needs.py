"""What a training asks for beside its script: packages, a set-up, variables, a command of its own, secrets."""

import pytest

from tests.local.runs.cloud import Cloud
from tests.local.runs.everything import everything_written
from tests.local.runs.project import LOCK, LOCKED, PEP_723, SHOW, TELL, write_packaged_project

pytestmark = pytest.mark.local_cloud


def test_locked_project_is_installed_and_the_set_up_runs_before_the_training(cloud: Cloud) -> None:
    write_packaged_project(
        cloud.root / "locked",
        {"pyproject.toml": LOCKED, "uv.lock": LOCK, "requirements.txt": "nope\n", "tell.py": TELL},
    )

    run_id = cloud.train("tell.py", options=("--setup", "command -v pip > made.txt"), folder="locked")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    log = cloud.runctl("logs", run_id, output="text").stdout
    assert "runctl: installing pyproject.toml as locked in uv.lock" in log
    assert "training with slow.py True" in log
    assert f"/runs/{run_id}/attempt-1/environment/bin/pip" in log


def test_packages_of_the_scripts_own_header_are_installed(cloud: Cloud) -> None:
    write_packaged_project(cloud.root / "header", {"tell.py": PEP_723 + TELL})

    run_id = cloud.train("tell.py", folder="header")
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert "training with slow.py True" in cloud.runctl("logs", run_id, output="text").stdout


def test_set_up_command_that_fails_ends_the_run_with_its_own_last_lines(cloud: Cloud) -> None:
    run_id = cloud.train("succeed.py", options=("--setup", "echo 'no such dataset: digits' >&2; exit 4"))

    run = cloud.wait_for_end(run_id)

    assert (run["status"], run["reason"]) == ("FAILED", "SETUP_FAILED"), cloud.story(run_id)
    shown = cloud.runctl("status", run_id, output="text").stdout
    assert "set-up command ended with exit code 4" in shown
    assert "no such dataset: digits" in shown


def test_variables_come_from_the_flags_a_file_and_the_shell(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    (cloud.root / "show.py").write_text(SHOW)
    (cloud.root / "some.env").write_text("# for the test\nFILED='two words'\nBOTH=file\n")
    monkeypatch.setenv("FROM_SHELL", "from the shell")

    options = ("--env-file", "some.env", "--env", "BOTH=flag", "--env", "FROM_SHELL")
    run_id = cloud.train("show.py", "FILED", "BOTH", "FROM_SHELL", options=options)
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    log = cloud.runctl("logs", run_id, output="text").stdout
    assert "FILED: 9 characters, 'two'" in log
    assert "BOTH: 4 characters, 'fla'" in log
    assert "FROM_SHELL: 14 characters, 'fro'" in log


def test_command_runs_in_place_of_a_script(cloud: Cloud) -> None:
    run_id = cloud.train(options=("--command", "python -m succeed"))

    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert f"hello from {run_id}" in cloud.runctl("logs", run_id, output="text").stdout
    assert cloud.events(run_id)[0]["text"].partition(" submitted ")[2].startswith("python -m succeed on t3.micro")


def test_module_runs_by_its_name(cloud: Cloud) -> None:
    (cloud.root / "kites").mkdir(exist_ok=True)
    (cloud.root / "kites" / "fit.py").write_text("import sys, __main__; print(__main__.__spec__.name, sys.argv[1:])")

    run_id = cloud.train(options=("-m", "kites.fit", "--", "--epochs", "3"))
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert "kites.fit ['--epochs', '3']" in cloud.runctl("logs", run_id, output="text").stdout


def test_secrets_reach_the_training_and_stand_nowhere_else(cloud: Cloud) -> None:
    (cloud.root / "show.py").write_text(SHOW)
    canaries = {"ONE": "canary-of-a-parameter", "TWO": "canary-of-a-secret"}
    cloud.client("ssm").put_parameter(Name="/runctl/secrets/one", Type="SecureString", Value=canaries["ONE"])
    cloud.client("secretsmanager").create_secret(Name="runctl/two", SecretString=canaries["TWO"])

    options = ("--secret", "ONE=ssm:/runctl/secrets/one", "--secret", "TWO=secretsmanager:runctl/two")
    run_id = cloud.train("show.py", "ONE", "TWO", options=options)
    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    log = cloud.runctl("logs", run_id, output="text").stdout
    assert "ONE: 21 characters, 'can'" in log
    assert "TWO: 18 characters, 'can'" in log
    written = everything_written(cloud, run)
    for place in ("table", "execution", "commands", "logs", "bucket", "machine's disk"):
        assert run_id in written[place], f"the {place} says nothing of the run: it was not looked at"
        for name, canary in canaries.items():
            assert canary not in written[place], f"{name} stands in the {place}"


def test_machine_reads_no_secret_outside_our_prefixes(cloud: Cloud) -> None:
    cloud.client("ssm").put_parameter(Name="/payroll/key", Type="SecureString", Value="canary-of-others")
    cloud.client("secretsmanager").create_secret(Name="payroll/key", SecretString="canary-of-others")

    parameter = cloud.train("succeed.py", options=("--secret", "KEY=ssm:/payroll/key"))
    secret = cloud.train("succeed.py", options=("--secret", "KEY=secretsmanager:payroll/key"))

    for run_id in (parameter, secret):
        run = cloud.wait_for_end(run_id)
        assert (run["status"], run["reason"]) == ("FAILED", "SETUP_FAILED"), cloud.story(run_id)
        assert "AccessDeniedException" in cloud.runctl("status", run_id, output="text").stdout


def test_disk_of_a_size_of_its_own_is_asked_for_under_the_images_root_device(cloud: Cloud) -> None:
    run_id = cloud.train("succeed.py", options=("--disk", "200"))

    run = cloud.wait_for_end(run_id)

    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert run["spec"]["disk_gib"] == 200
    table = everything_written(cloud, run)["table"]
    assert "'VolumeSize': {'N': '200'}" in table
    assert "'DeviceName': {'S': '/dev/xvda'}" in table
