"""Code, environment and resume point are made ready, checked, and cannot lead out of their folders."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runctl.agent.environment import PythonEnvironment
from runctl.agent.job import Go
from runctl.agent.layout import AttemptFolder
from runctl.agent.packages import Packages, PackagesKind, find_packages
from runctl.agent.preparation import Prepared, prepare, script_of_command, training_command, training_environment
from runctl.agent.resume import Resumed
from runctl.agent.run_log import RunLog
from runctl.agent.setup_error import SetupCancelledError, SetupError
from tests.agent.factories import job, project, resume_point
from tests.agent.fakes import FakeLinks, FakeSecrets, MemoryStore


def _never() -> bool:
    return False


_DEPENDENCIES = '[project]\nname = "kites"\nversion = "1"\ndependencies = []\n'
_NAME_ONLY = '[project]\nname = "kites"\nversion = "1"\n'
_TOOLS_ONLY = "[tool.ruff]\nline-length = 100\n"
_DYNAMIC = '[project]\nname = "kites"\ndynamic = ["version", "dependencies"]\n'
_WORKSPACE = '[project]\nname = "all"\nversion = "1"\n[tool.uv.workspace]\nmembers = ["a"]\n'
_HEADER = '# /// script\n# dependencies = ["numpy"]\n# ///\nprint(1)\n'


@pytest.mark.parametrize(
    ("there", "kind", "found"),
    [
        ({"requirements.txt": ""}, PackagesKind.REQUIREMENTS, "requirements.txt"),
        ({"requirements.txt": "", "a/requirements.txt": ""}, PackagesKind.REQUIREMENTS, "a/requirements.txt"),
        ({"a/b/requirements.txt": "", "requirements.txt": ""}, PackagesKind.REQUIREMENTS, "a/b/requirements.txt"),
        ({"pyproject.toml": _DEPENDENCIES, "uv.lock": ""}, PackagesKind.LOCKED_PROJECT, "pyproject.toml"),
        ({"pyproject.toml": _DEPENDENCIES}, PackagesKind.PROJECT, "pyproject.toml"),
        ({"pyproject.toml": _DEPENDENCIES, "requirements.txt": ""}, PackagesKind.PROJECT, "pyproject.toml"),
        ({"pyproject.toml": _DYNAMIC, "requirements.txt": ""}, PackagesKind.PROJECT, "pyproject.toml"),
        ({"pyproject.toml": _DEPENDENCIES, "a/requirements.txt": ""}, PackagesKind.REQUIREMENTS, "a/requirements.txt"),
        ({"pyproject.toml": _NAME_ONLY, "requirements.txt": ""}, PackagesKind.REQUIREMENTS, "requirements.txt"),
        ({"pyproject.toml": _NAME_ONLY}, PackagesKind.PROJECT, "pyproject.toml"),
        ({"a/pyproject.toml": _TOOLS_ONLY, "requirements.txt": ""}, PackagesKind.REQUIREMENTS, "requirements.txt"),
        (
            {"pyproject.toml": _WORKSPACE, "uv.lock": "", "a/pyproject.toml": _DEPENDENCIES},
            PackagesKind.LOCKED_PROJECT,
            "a/pyproject.toml",
        ),
        (
            {"pyproject.toml": _NAME_ONLY, "uv.lock": "", "a/pyproject.toml": _DEPENDENCIES},
            PackagesKind.PROJECT,
            "a/pyproject.toml",
        ),
        ({"a/b/train.py": _HEADER}, PackagesKind.SCRIPT, "a/b/train.py"),
        ({"a/b/train.py": _HEADER, "requirements.txt": ""}, PackagesKind.REQUIREMENTS, "requirements.txt"),
    ],
)
def test_nearest_file_that_names_packages_is_taken(
    tmp_path: Path, there: dict[str, str], kind: PackagesKind, found: str
) -> None:
    for name, text in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert find_packages(tmp_path, "a/b/train.py") == Packages(kind, tmp_path / found)


@pytest.mark.parametrize(
    "there",
    [
        {},
        {"c/requirements.txt": ""},
        {"pyproject.toml": _TOOLS_ONLY},
        {"a/b/train.py": "print(1)\n"},
        {"a/b/train.py": '# /// script\n# dependencies = []\nprint("never closed")\n'},
        {"a/b/train.py": "# /// other\n# dependencies = []\n# ///\n"},
    ],
)
def test_project_may_name_no_packages(tmp_path: Path, there: dict[str, str]) -> None:
    for name, text in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert find_packages(tmp_path, "a/b/train.py") is None


def test_pyproject_that_cannot_be_read_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")

    with pytest.raises(SetupError, match="cannot be read"):
        find_packages(tmp_path, "train.py")


def _requirements(tmp_path: Path) -> Packages:
    (tmp_path / "requirements.txt").touch()
    return Packages(PackagesKind.REQUIREMENTS, tmp_path / "requirements.txt")


def _environment(
    tmp_path: Path, uv: str, monkeypatch: pytest.MonkeyPatch, cancelled: threading.Event
) -> PythonEnvironment:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "uv").write_text(f"#!/bin/sh\n{uv}\n")
    (tools / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    log = RunLog(tmp_path / "training.log")
    return PythonEnvironment(tmp_path / "environment", tmp_path / "tools", log, cancelled.is_set)


def test_without_requirements_the_machines_python_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _environment(tmp_path, "exit 1", monkeypatch, threading.Event())

    assert environment.prepare(None) == Path(sys.executable)


def test_requirements_are_installed_with_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _environment(tmp_path, 'echo "uv $*"', monkeypatch, threading.Event())

    python = environment.prepare(_requirements(tmp_path))

    said = (tmp_path / "training.log").read_text()
    assert python == tmp_path / "environment" / "bin" / "python"
    assert f"uv venv --quiet --no-project --python {sys.executable}" in said
    assert f"--requirement {tmp_path / 'requirements.txt'}" in said


@pytest.mark.parametrize(
    ("kind", "file", "command"),
    [
        (PackagesKind.LOCKED_PROJECT, "pyproject.toml", "uv sync --quiet --frozen in @HERE@ to @ENV@"),
        (PackagesKind.PROJECT, "pyproject.toml", "uv sync --quiet in @HERE@ to @ENV@"),
        (
            PackagesKind.SCRIPT,
            "train.py",
            "uv sync --quiet --active --script @HERE@/train.py in @HERE@ to @ENV@",
        ),
    ],
)
def test_projects_and_scripts_are_synced_with_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: PackagesKind, file: str, command: str
) -> None:
    environment = _environment(
        tmp_path,
        'echo "uv $* in $PWD to $UV_PROJECT_ENVIRONMENT$([ $VIRTUAL_ENV = $UV_PROJECT_ENVIRONMENT ] || echo ?)"',
        monkeypatch,
        threading.Event(),
    )
    (tmp_path / file).touch()

    python = environment.prepare(Packages(kind, tmp_path / file))

    expected = command.replace("@HERE@", str(tmp_path)).replace("@ENV@", str(tmp_path / "environment"))
    assert python == tmp_path / "environment" / "bin" / "python"
    assert expected in (tmp_path / "training.log").read_text().splitlines()


def test_set_up_command_finds_pip_beside_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _environment(tmp_path, 'echo "uv $*"', monkeypatch, threading.Event())

    python = environment.prepare(_requirements(tmp_path), with_pip=True)

    assert f"uv pip --quiet install --python {python} pip" in (tmp_path / "training.log").read_text()


def test_set_up_command_never_installs_into_the_machines_own_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = _environment(tmp_path, "exit 1", monkeypatch, threading.Event())

    python = environment.prepare(None, with_pip=True)

    assert python == tmp_path / "environment" / "bin" / "python"
    assert (tmp_path / "environment" / "bin" / "pip").exists()


def test_requirements_that_cannot_be_installed_are_a_setup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = _environment(tmp_path, 'echo "no such package"; exit 2', monkeypatch, threading.Event())

    with pytest.raises(SetupError, match="exit code 2"):
        environment.prepare(_requirements(tmp_path))

    assert "no such package" in (tmp_path / "training.log").read_text()


def test_installation_is_ended_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()
    cancelled.set()
    environment = _environment(tmp_path, f'echo $$ > "{tmp_path}/pid"; sleep 60', monkeypatch, cancelled)

    with pytest.raises(SetupCancelledError):
        environment.prepare(_requirements(tmp_path))


def test_training_sees_what_it_is_promised(tmp_path: Path) -> None:
    folder = AttemptFolder.of(tmp_path, "r-1", 2)
    point, _ = resume_point("step-2", weights=b"w")
    asked = job(environment={"MINE": "1", "RUNCTL_ATTEMPT": "99", "RUNCTL_RESUME_FROM": "/nowhere"})
    machine = {"PATH": "/usr/bin", "PYTHONPATH": "/agent/lib", "VIRTUAL_ENV": "/other", "HOME": "/root"}

    environment = training_environment(
        machine, folder.environment / "bin" / "python", asked, folder, Resumed(folder.resume / "step-2", point)
    )

    assert environment == {
        "PATH": f"{folder.environment / 'bin'}{os.pathsep}/usr/bin",
        "VIRTUAL_ENV": str(folder.environment),
        "HOME": "/root",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "MINE": "1",
        "PYTHONUNBUFFERED": "1",
        "RUNCTL_RUN_ID": "r-0123456789ab",
        "RUNCTL_ATTEMPT": "2",
        "RUNCTL_CHECKPOINT_DIR": str(folder.checkpoints),
        "RUNCTL_OUTPUT_DIR": str(folder.output),
        "RUNCTL_METRICS_FILE": str(folder.metrics),
        "RUNCTL_SCRATCH_DIR": str(folder.path / "scratch"),
        "RUNCTL_RESUME_FROM": str(folder.resume / "step-2"),
    }


def test_first_attempt_has_no_checkpoint_to_resume_from(tmp_path: Path) -> None:
    folder = AttemptFolder.of(tmp_path, "r-1", 1)
    asked = job(environment={"RUNCTL_RESUME_FROM": "/nowhere"})

    environment = training_environment({}, Path("/usr/bin/python3"), asked, folder, None)

    assert "RUNCTL_RESUME_FROM" not in environment
    assert "VIRTUAL_ENV" not in environment


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        ({"script": "a/train.py", "args": ("--epochs", "3")}, ("/py", "a/train.py", "--epochs", "3")),
        ({"script": "a/train.py", "module": "a.train", "args": ("x",)}, ("/py", "-m", "a.train", "x")),
        ({"script": "", "command": ("torchrun", "train.py")}, ("torchrun", "train.py")),
        ({"script": "", "command": ("python", "-c", "print(1)")}, ("/py", "-c", "print(1)")),
        ({"script": "", "command": ("python3", "a/train.py")}, ("/py", "a/train.py")),
    ],
)
def test_command_is_as_a_person_would_type_it_in_the_project(
    tmp_path: Path, asked: dict[str, Any], command: tuple[str, ...]
) -> None:
    assert training_command(Path("/py"), tmp_path, job(**asked)) == command


def test_executable_scripts_run_by_themselves_and_shell_scripts_without_the_right_by_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "train.sh"
    script.touch()
    asked = job(script="train.sh", args=("x",))

    shell, *rest = training_command(Path("/py"), tmp_path, asked)
    script.chmod(0o755)

    assert shell.rpartition("/")[2] in {"bash", "sh"}
    assert rest == ["train.sh", "x"]
    assert training_command(Path("/py"), tmp_path, asked) == (str(script), "x")


def test_other_files_must_be_executable(tmp_path: Path) -> None:
    (tmp_path / "train.r").touch()

    with pytest.raises(SetupError, match="executable"):
        training_command(Path("/py"), tmp_path, job(script="train.r"))


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("torchrun", "--nproc-per-node", "8", "a/train.py", "b.py"), "a/train.py"),
        (("torchrun", "./b.py"), "b.py"),
        (("nvidia-smi",), ""),
        (("cat", "../secret", "/etc/passwd", "x" * 5_000, "a\0b"), ""),
    ],
)
def test_packages_of_a_command_are_looked_for_from_its_first_file_up(
    tmp_path: Path, command: tuple[str, ...], found: str
) -> None:
    code = tmp_path / "code"
    (code / "a").mkdir(parents=True)
    for file in (code / "a" / "train.py", code / "b.py", tmp_path / "secret"):
        file.touch()

    assert script_of_command(command, code) == found


def _prepare(
    tmp_path: Path,
    files: dict[str, str],
    cancelled: Callable[[], bool] = _never,
    *,
    in_store: dict[str, str] | None = None,
    **fields: Any,
) -> Prepared:
    code = project(files)
    asked = job(code, **fields)
    store = MemoryStore()
    store.objects |= code.objects
    folder = AttemptFolder(tmp_path / "attempt")
    folder.create()
    log = RunLog(tmp_path / "training.log")
    return prepare(
        asked,
        folder,
        tmp_path / "tools",
        store,
        FakeLinks({}),
        FakeSecrets(in_store or {}),
        log,
        cancelled,
        lambda: Go((), 60.0),
    )


def test_set_up_command_runs_in_the_project_with_the_trainings_own_variables(tmp_path: Path) -> None:
    setup = 'cat data.txt > made.txt; echo "$RUNCTL_RUN_ID $SEED $(command -v python)" >> made.txt'

    prepared = _prepare(tmp_path, {"train.py": "", "data.txt": "x\n"}, setup=setup, environment={"SEED": "7"})

    code, environment = tmp_path / "attempt" / "code", tmp_path / "attempt" / "environment"
    assert (code / "made.txt").read_text() == f"x\n{job().run_id} 7 {environment}/bin/python\n"
    assert prepared.command == (f"{environment}/bin/python", "train.py")


def test_set_up_command_that_fails_says_how_and_leaves_its_own_last_words(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="the set-up command ended with exit code 4"):
        _prepare(tmp_path, {"train.py": ""}, setup="echo 'no such dataset' >&2; exit 4")

    assert RunLog(tmp_path / "training.log").last_lines() == ("no such dataset",)


def test_set_up_command_is_ended_when_asked(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    with pytest.raises(SetupCancelledError):
        _prepare(tmp_path, {"train.py": ""}, begun.exists, setup=f"touch '{begun}'; sleep 60")


def test_commands_packages_are_those_of_the_file_that_it_names(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="pyproject"):
        _prepare(
            tmp_path,
            {"a/train.py": "", "a/pyproject.toml": "[not toml", "requirements.txt": ""},
            script="",
            command=("torchrun", "a/train.py"),
        )


def test_secrets_are_variables_of_the_training_and_stand_in_no_file(tmp_path: Path) -> None:
    prepared = _prepare(
        tmp_path,
        {"train.py": ""},
        secrets={"TOKEN": "ssm:/runctl/secrets/token"},
        in_store={"ssm:/runctl/secrets/token": "hunter2"},
    )

    assert prepared.environment["TOKEN"] == "hunter2"
    assert not any(b"hunter2" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_secret_that_is_refused_ends_the_set_up_and_says_what_may_be_read(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"TOKEN \(ssm:/other\) .*AccessDenied.* below /runctl/secrets/"):
        _prepare(tmp_path, {"train.py": ""}, secrets={"TOKEN": "ssm:/other"})


def test_secret_that_no_variable_can_hold_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="zero byte") as caught:
        _prepare(tmp_path, {"train.py": ""}, secrets={"TOKEN": "ssm:/x"}, in_store={"ssm:/x": "hunter2\0"})

    assert "hunter2" not in str(caught.value)


def test_code_that_arrived_whole_is_told_in_the_log(tmp_path: Path) -> None:
    prepared = _prepare(tmp_path, {"a/train.py": "", "b.txt": ""}, script="a/train.py")

    digest = job(project({"a/train.py": "", "b.txt": ""})).code.sha256
    assert prepared.command[1] == "a/train.py"
    assert (tmp_path / "training.log").read_text().splitlines() == [
        f"runctl: Code sync verified: script and directories found (2 files, sha256 {digest[:12]})"
    ]


def test_code_without_the_script_is_not_called_verified(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no train\.py"):
        _prepare(tmp_path, {"other.py": ""})

    assert "verified" not in (tmp_path / "training.log").read_text()
