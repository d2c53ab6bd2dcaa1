"""A `docker` that keeps containers as processes of its own: a small init with the training as its child, as docker's
`--init` does. It writes down the words that it is given and the variables that a container gets."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

_DOCKER = '''#!@PYTHON@
import json, os, signal, subprocess, sys, time
from pathlib import Path

ROOT = Path("@ROOT@")
INIT = """
import os, signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: child.send_signal(number))
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
"""

def state(name):
    return ROOT / f"{name}.json"

def read(name):
    if not state(name).exists():
        sys.stderr.write(f"Error: No such container: {name}\\n")
        sys.exit(1)
    return json.loads(state(name).read_text())

words = sys.argv[1:]
with (ROOT / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
verb = words[0]
if verb in ("pull", "login"):
    if verb == "login":
        (ROOT / "password").write_text(sys.stdin.read())
    if "missing" in words[-1]:
        sys.stderr.write("manifest unknown\\n")
        sys.exit(1)
elif verb == "create":
    name = words[words.index("--name") + 1]
    file = words[words.index("--env-file") + 1]
    variables = dict(line.split("=", 1) for line in Path(file).read_text().splitlines())
    (ROOT / "mode").write_text(oct(os.stat(file).st_mode & 0o777))
    variables |= {words[at + 1]: os.environ[words[at + 1]] for at, word in enumerate(words) if word == "--env"}
    command = words[words.index("kites:1") + 1 :]
    folder = words[words.index("--workdir") + 1]
    labels = [words[at + 1] for at, word in enumerate(words) if word == "--label"]
    kept = {"variables": variables, "command": command, "folder": folder, "pid": 0, "labels": labels}
    state(name).write_text(json.dumps(kept))
elif verb == "start":
    kept = read(words[-1])
    environment = {"PATH": os.environ["PATH"], **kept["variables"]}
    init = subprocess.Popen(
        [sys.executable, "-c", INIT, *kept["command"]],
        env=environment, cwd=kept["folder"], start_new_session=True,
    )
    state(words[-1]).write_text(json.dumps({**kept, "pid": init.pid}))
    code = init.wait()
    out_of_memory = (ROOT / "out-of-memory").exists()
    if state(words[-1]).exists():  # else it was removed
        state(words[-1]).write_text(json.dumps({**kept, "pid": 0, "code": code, "out_of_memory": out_of_memory}))
    sys.exit(code)
elif verb == "kill":
    os.kill(read(words[-1])["pid"], getattr(signal, "SIG" + words[2]))
elif verb == "inspect":
    kept = read(words[-1])
    if "--format" in words:
        template = words[2]
        killed = json.dumps(kept.get("out_of_memory", False))
        for field, value in {"Pid": kept["pid"], "ExitCode": kept.get("code", 0), "OOMKilled": killed}.items():
            template = template.replace("{{.State." + field + "}}", str(value))
        print(template)
elif verb == "ps":
    wanted = words[words.index("--filter") + 1].removeprefix("label=")
    print("\\n".join(path.stem for path in ROOT.glob("*.json") if wanted in json.loads(path.read_text())["labels"]))
elif verb == "rm":
    kept = read(words[-1])
    state(words[-1]).unlink()
    if kept["pid"]:
        os.killpg(kept["pid"], signal.SIGKILL)
'''


class Docker:
    """What was asked of it."""

    def __init__(self, root: Path, programs: Path) -> None:
        self._root = root
        root.mkdir()
        program = programs / "docker"
        program.write_text(_DOCKER.replace("@PYTHON@", sys.executable).replace("@ROOT@", str(root)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self) -> list[list[str]]:
        """The words of each call, in their order."""
        return [json.loads(line) for line in self.said("calls").splitlines()]

    @property
    def containers(self) -> dict[str, dict[str, Any]]:
        """Those that are there."""
        return {path.stem: json.loads(path.read_text()) for path in self._root.glob("*.json")}

    def said(self, name: str) -> str:
        """What it wrote down."""
        return (self._root / name).read_text()

    def run_out_of_memory(self) -> None:
        """Let the next end be one for want of memory."""
        (self._root / "out-of-memory").touch()
