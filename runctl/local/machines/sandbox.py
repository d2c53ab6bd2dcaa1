"""The disk and the environment of a machine: a directory, and nothing of the host's own credentials."""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runctl.local.machines.inside.tree import MARKER

_PASSED_ON = frozenset(
    {"LANG", "LANGUAGE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
)
_CACHES = ("UV_CACHE_DIR", "PIP_CACHE_DIR")
_PASSED_ON_PREFIXES = ("LC_", "PIP_", "UV_")
_PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})

# `halt` stops an EC2 instance's processor and does not end the instance (EC2 User Guide, Instance lifecycle); here it
# is refused, so that nobody's habit reaches the host's own commands.
_SHUTDOWN = """#!/bin/sh
# shutdown, poweroff and reboot of this machine.
what=USR1
wait_s=60
[ "${0##*/}" = shutdown ] || wait_s=0
[ "${0##*/}" != reboot ] || what=USR2
for argument in "$@"; do
  case "$argument" in
    now) wait_s=0 ;;
    +*) wait_s=$((${argument#+} * 60)) ;;
    -r | --reboot) what=USR2 ;;
    -h | -P | -H | -f | --poweroff | --halt | --force | --no-wall) ;;
    -*) echo "${0##*/}: option $argument is not known on this machine" >&2; exit 1 ;;
    *:*) echo "${0##*/}: a time of day is not known on this machine, only now and +MINUTES" >&2; exit 1 ;;
    *) break ;;
  esac
done
if [ "$wait_s" -gt 0 ]; then
  ( sleep "$wait_s"; kill -s "$what" "$(cat '@INIT_PID@')" ) </dev/null >/dev/null 2>&1 &
  exit 0
fi
exec kill -s "$what" "$(cat '@INIT_PID@')"
"""

_NO_SYSTEMD = """#!/bin/sh
# This machine has no service manager, whatever the host has: what systemctl says where systemd did not boot.
[ "$1" != is-system-running ] || { echo offline; exit 1; }
echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2
exit 1
"""

_NO_HALT = """#!/bin/sh
echo "${0##*/}: not on this machine; use shutdown or poweroff" >&2
exit 1
"""

_SUDO = """#!/bin/sh
# On EC2, Run Command and user data run as root already; here nothing may become the host's root.
while :; do
  case "$1" in
    -n | -E | -H | --) shift ;;
    -*) echo "sudo: option $1 is not known on this machine" >&2; exit 1 ;;
    *) break ;;
  esac
done
exec "$@"
"""

_COMMANDS = {
    "shutdown": _SHUTDOWN,
    "poweroff": _SHUTDOWN,
    "reboot": _SHUTDOWN,
    "halt": _NO_HALT,
    "init": _NO_HALT,
    "telinit": _NO_HALT,
    "systemctl": _NO_SYSTEMD,
    "systemd-run": _NO_SYSTEMD,
    "sudo": _SUDO,
}


@dataclass(frozen=True)
class Sandbox:
    """Where a machine's files lie."""

    instance_id: str
    directory: Path

    @property
    def home(self) -> Path:
        """The home directory."""
        return self.directory / "home"

    @property
    def root(self) -> Path:
        """`RUNCTL_ROOT`: what /opt/runctl is on EC2."""
        return self.directory / "opt"

    @property
    def log(self) -> Path:
        """Logs, which stay when the machine is gone."""
        return self.directory / "log"

    @property
    def commands(self) -> Path:
        """Commands of this machine that come before the host's."""
        return self.directory / "bin"

    @property
    def console(self) -> Path:
        """Everything that the console showed."""
        return self.log / "console.log"

    @property
    def init_pid_file(self) -> Path:
        """The first process's id."""
        return self.directory / "init.pid"

    @property
    def temporary(self) -> Path:
        """Temporary files, on a short path: Unix sockets are made there, and their names are limited to 104 bytes."""
        return Path(tempfile.gettempdir()) / self.instance_id

    def create(self) -> None:
        """Make the directories and commands; what is there already stays, as a stopped machine's disk does."""
        for directory in (self.home, self.root, self.log, self.commands):
            directory.mkdir(parents=True, exist_ok=True)
        self.temporary.mkdir(mode=0o700, exist_ok=True)
        for name, text in _COMMANDS.items():
            file = self.commands / name
            file.write_text(text.replace("@INIT_PID@", str(self.init_pid_file).replace("'", "'\\''")))
            file.chmod(0o755)

    def remove_disk(self) -> None:
        """Remove everything but the logs, as EC2 deletes the root volume."""
        for directory in (self.home, self.root, self.commands, self.temporary):
            shutil.rmtree(directory, ignore_errors=True)
        self.init_pid_file.unlink(missing_ok=True)

    def environment(self, *, endpoint_url: str, region: str) -> dict[str, str]:
        """The environment of the machine's processes. There are no credentials in it: they come from IMDS."""
        host_path = os.environ.get("PATH", os.defpath)
        path = os.pathsep.join([str(self.commands), str(Path(sys.executable).parent), host_path])
        return {
            **{name: value for name, value in os.environ.items() if _is_passed_on(name)},
            **_without_proxy(("127.0.0.1", "localhost")),
            **_package_caches(),
            "HOME": str(self.home),
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            "PATH": path,
            "TMPDIR": str(self.temporary),
            "RUNCTL_ROOT": str(self.root),
            MARKER: self.instance_id,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{endpoint_url}/imds/{self.instance_id}/",
        }


def _without_proxy(hosts: tuple[str, ...]) -> dict[str, str]:
    """`no_proxy` in both spellings with `hosts` added: the metadata service and all of AWS are on the loopback."""
    already = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    text = ",".join(dict.fromkeys([*filter(None, already.split(",")), *hosts]))
    return {"no_proxy": text, "NO_PROXY": text}


def _package_caches() -> dict[str, str]:
    """The person's own caches, as an image with warm ones would have: what this machine has fetched once is not fetched
    again. Both tools lock and check what lies there, and neither is told another place by a machine's own HOME.

    With `RUNCTL_LOCAL_COLD_CACHES` each machine begins without any, as on EC2."""
    if os.environ.get("RUNCTL_LOCAL_COLD_CACHES"):
        return {}
    cache = Path.home() / ".cache"
    return {
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(cache / "uv")),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(cache / "pip")),
    }


def _is_passed_on(name: str) -> bool:
    if name in _CACHES:
        return False
    return name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES) or name.lower() in _PROXIES
