"""A training in a container: what is asked of docker, and that it is like any other training to the supervisor."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runctl.agent.clients import AwsRefused
from runctl.agent.image import Image, create_command, install_docker, is_private_ecr, pull, write_spec
from runctl.agent.layout import AttemptFolder
from runctl.agent.request_files import Request
from runctl.agent.run_log import RunLog
from runctl.agent.setup_error import SetupError
from runctl.agent.training_process import catches
from runctl.model.agent_event import EndedWhy
from tests.agent.attempt import Attempt
from tests.agent.docker import Docker
from tests.agent.factories import INSTANCE_ID, RUN_ID, job
from tests.agent.processes import until

OWN = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/kites:1"
NAME = f"runctl-{RUN_ID}-2"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Docker(tmp_path / "docker", programs)


class _Registry:
    def __init__(self, code: str = "") -> None:
        self.code = code

    def password(self) -> str:
        if self.code:
            raise AwsRefused(self.code, "not for this role")
        return "canary-password"


def _pull(tmp_path: Path, image: str, registry: _Registry | None = None, **more: Any) -> Image:
    folder = AttemptFolder(tmp_path / "attempt")
    folder.path.mkdir(exist_ok=True)
    return pull(image, folder, registry, RunLog(tmp_path / "training.log"), lambda: False, **more)


def test_training_runs_in_a_container_that_is_removed(tmp_path: Path, docker: Docker) -> None:
    text = (
        "import os, pathlib\n"
        "pathlib.Path(os.environ['RUNCTL_CHECKPOINT_DIR'], 'step-1').write_text('w')\n"
        "print('in', os.getcwd(), os.environ['A'], os.environ['LINES'].splitlines(), 'HOME' in os.environ)\n"
    )
    attempt = Attempt(tmp_path / "root", text, image="kites:1", environment={"A": "1 = one", "LINES": "x\ny"})

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == (EndedWhy.EXITED, 0), attempt.log
    assert f"in {attempt.folder.code} 1 = one ['x', 'y'] False" in attempt.log
    assert attempt.bus.of("Checkpoint Saved")
    assert docker.containers == {}
    assert docker.said("mode") == "0o600"
    assert not (attempt.folder.path / "container.env").exists()
    assert "1 = one" not in docker.said("calls")


def test_exit_code_is_the_trainings_own(tmp_path: Path, docker: Docker) -> None:
    ended = Attempt(tmp_path / "root", "raise SystemExit(3)", image="kites:1").run()

    assert (ended.why, ended.exit_code) == (EndedWhy.EXITED, 3)


def test_want_of_memory_is_docker_s_to_tell(tmp_path: Path, docker: Docker) -> None:
    docker.run_out_of_memory()
    attempt = Attempt(tmp_path / "root", "raise SystemExit(137)", image="kites:1")
    attempt.memory_kills = iter([0, 1])

    ended = attempt.run()

    assert ended.why is EndedWhy.OUT_OF_MEMORY
    assert "the container was killed for want of memory" in attempt.log


def test_stop_reaches_the_main_process_and_its_save_counts(tmp_path: Path, docker: Docker) -> None:
    text = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "print('training', flush=True)\ntime.sleep(60)\n"
    )
    attempt = Attempt(tmp_path / "root", text, image="kites:1", save_limit_s=30)
    attempt.when_training(lambda: attempt.ask(Request.STOP))

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == (EndedWhy.STOP, 75), attempt.log
    assert ["kill", "--signal", "TERM", NAME] in docker.calls
    assert docker.containers == {}


def test_container_that_does_not_leave_is_removed_with_its_training(tmp_path: Path, docker: Docker) -> None:
    text = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('training', os.getpid(), flush=True)\ntime.sleep(60)\n"
    )
    attempt = Attempt(tmp_path / "root", text, image="kites:1", save_limit_s=1)
    attempt.when_training(lambda: attempt.ask(Request.STOP))

    attempt.run()

    (pid,) = (line.split()[1] for line in attempt.log.splitlines() if line.startswith("training "))
    assert docker.containers == {}
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


def test_container_whose_agent_and_keeper_were_killed_is_removed_by_the_agent_that_is_started_again(
    tmp_path: Path, docker: Docker
) -> None:
    text = "import time\nprint('training', flush=True)\ntime.sleep(60)\n"
    attempt = Attempt(tmp_path / "root", text, image="kites:1")

    def kill_all_but_the_container() -> None:
        who = json.loads((attempt.folder.path / "training.json").read_text())
        for pid in (who["keeper"], who["pid"]):
            os.kill(pid, signal.SIGKILL)

    attempt.when_training(kill_all_but_the_container)

    ended = attempt.run()

    assert (ended.why, ended.exit_code) == (EndedWhy.DEAD_MAN, None), attempt.log
    assert docker.containers == {}


def test_container_that_an_earlier_attempt_left_on_a_machine_is_removed(tmp_path: Path, docker: Docker) -> None:
    folder = AttemptFolder(tmp_path / "earlier")
    folder.create()
    left = job(run_id="r-0123456789cd")
    write_spec(Image(str(tmp_path / "bin" / "docker"), "kites:1", has_gpus=False), ["sleep"], {}, [], left, folder)
    create = json.loads(folder.container.read_text())["create"]
    subprocess.run([str(tmp_path / "bin" / "docker"), *create], check=True)
    elsewhere = [word.replace(left.instance_id, "i-0fedcba9876543210").replace("89cd", "89ef") for word in create]
    subprocess.run([str(tmp_path / "bin" / "docker"), *elsewhere], check=True)

    Attempt(tmp_path / "root", "", image="kites:1").run()

    assert set(docker.containers) == {"runctl-r-0123456789ef-2"}


@pytest.mark.parametrize("handler", ["lambda *_: print('asked to save', flush=True)", None])
def test_training_is_asked_to_save_only_when_it_hears(tmp_path: Path, docker: Docker, handler: str | None) -> None:
    text = (
        "import signal, sys, time\n"
        + (f"signal.signal(signal.SIGUSR1, {handler})\n" if handler else "")
        + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "time.sleep(2)\nprint('training', flush=True)\ntime.sleep(60)\n"
    )
    attempt = Attempt(tmp_path / "root", text, image="kites:1", save_limit_s=1)

    def warn() -> None:
        if handler:
            pid = json.loads((attempt.folder.path / "training.json").read_text())["pid"]
            until(lambda: catches(Path(f"/proc/{pid}/status").read_text(), signal.SIGUSR1))
        attempt.warn(60)

    attempt.when_training(warn)

    def leave() -> None:
        attempt.ask(Request.STOP)

    attempt.when_said("asked to save", leave)
    ended = attempt.run()

    asked = ["kill", "--signal", "USR1", NAME] in docker.calls
    assert asked is (handler is not None)
    assert ended.exit_code == 75, attempt.log


def test_image_that_is_not_there_is_a_setup_error(tmp_path: Path, docker: Docker) -> None:
    ended = Attempt(tmp_path / "root", "", image="missing:1").run()

    assert ended.why is EndedWhy.SETUP_FAILED
    assert "fetching the image missing:1 ended with exit code 1" in ended.message


def test_create_command_of_a_machine_with_gpus(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "a")
    mounted = [folder.code, tmp_path / "with,comma"]

    words = create_command(
        Image("/usr/bin/docker", "kites:1", has_gpus=True),
        NAME,
        ("python3", "train.py", "--lr", "1"),
        tmp_path / "container.env",
        ["PEM"],
        mounted,
        folder,
        job(),
    )

    assert words == [
        *("create", "--name", NAME, "--label", f"runctl.run={RUN_ID}"),
        *("--label", f"runctl.machine={INSTANCE_ID}", "--pull", "never"),
        *("--init", "--network", "host", "--ipc", "host", "--ulimit", "memlock=-1", "--log-driver", "none"),
        *("--gpus", "all", "--user", f"{os.getuid()}:{os.getgid()}", "--workdir", str(folder.code)),
        *("--env-file", str(tmp_path / "container.env"), "--env", "PEM"),
        *("--mount", f"type=bind,source={folder.code},target={folder.code}"),
        *("--mount", f'type=bind,"source={tmp_path}/with,comma","target={tmp_path}/with,comma"'),
        *("kites:1", "python3", "train.py", "--lr", "1"),
    ]


def test_podman_gets_gpus_by_its_own_word(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "a")

    words = create_command(
        Image("/usr/bin/podman", "kites:1", has_gpus=True), NAME, ("true",), tmp_path / "e", [], [], folder, job()
    )

    assert words[words.index("--device") + 1] == "nvidia.com/gpu=all"
    assert "--gpus" not in words


@pytest.mark.parametrize(
    ("image", "is_private"),
    [(OWN, True), ("public.ecr.aws/docker/library/python:3.12", False), ("pytorch/pytorch", False)],
)
def test_private_registry_is_known_by_its_name(image: str, is_private: bool) -> None:
    assert is_private_ecr(image) is is_private


def test_machine_logs_in_to_a_private_registry_and_keeps_no_password(tmp_path: Path, docker: Docker) -> None:
    _pull(tmp_path, OWN, _Registry())

    login, fetched = docker.calls
    assert login == ["login", "--username", "AWS", "--password-stdin", OWN.partition("/")[0]]
    assert docker.said("password") == "canary-password"
    assert fetched == ["pull", "--quiet", OWN]
    assert "canary-password" not in "".join(
        each.read_text() for each in (tmp_path / "attempt").rglob("*") if each.is_file()
    )


def test_role_that_may_not_ask_the_registry_is_told_what_to_allow(tmp_path: Path, docker: Docker) -> None:
    with pytest.raises(SetupError, match="--machine-policy arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"):
        _pull(tmp_path, OWN, _Registry("AccessDeniedException"))


@pytest.mark.parametrize(("there", "word"), [("dnf", "dnf install -y -q docker"), ("apt-get", "docker.io")])
def test_docker_is_installed_where_it_is_not(there: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", raising=False)

    command = install_docker(lambda name: "/usr/bin/x" if name == there else None)

    assert word in command[-1]
    assert command[-1].endswith("systemctl start docker")


def test_nothing_is_installed_on_somebodys_own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/")

    with pytest.raises(SetupError, match="neither docker nor podman"):
        _pull(tmp_path, "kites:1", which=lambda _: None)
