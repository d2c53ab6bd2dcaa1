"""The systemd unit of an attempt's supervisor: text alone, so that it can be looked at and verified."""

from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_LIMIT_S = 330
"""How long the supervisor may take to end at a shutdown: `runctl.model.timing.SAVE_LIMIT`, and the report after it."""

RESTARTS = 20
RESTARTS_WITHIN_S = 600
"""A supervisor that dies more often than that does not come to anything any more."""

# At a shutdown the supervisor alone is told, and tells the training (KillMode=process). Units stop in the reverse of
# the order in which they start (systemd.unit(5)): the network must be there for as long as something is saved, which
# takes longer than systemd's own 90 s. EC2 waits "a few minutes" (EC2 User Guide, "Terminate Amazon EC2 instances").
#
# A supervisor that dies leaves the training behind, with its keeper, in the unit's control group (KillMode=process
# again), and is started again to take hold of it; one that dies again and again ends the machine, which EC2 tells
# sooner than a missed heartbeat would. One that cannot read its job exits with 1, which the start command tells.
#
# It is enabled: after a restart of the machine it tells that the attempt has ended, instead of nobody. When that is
# told and the machine is kept, it is disabled.
#
# When the kernel kills for want of memory, the supervisor must live to tell (OOMPolicy, OOMScoreAdjust).
_TEXT = """\
[Unit]
Description=runctl: supervisor of {name}
Wants=network-online.target
After=network.target network-online.target
StartLimitIntervalSec={within_s}
StartLimitBurst={restarts}
StartLimitAction=poweroff

[Service]
Type=simple
ExecStart={command}
{environment}
StandardInput=null
StandardOutput=append:{log}
StandardError=append:{log}
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=1
SuccessExitStatus=1
KillMode=process
TimeoutStopSec={stop_limit_s}
OOMPolicy=continue
OOMScoreAdjust=-900
MemoryAccounting=yes
TasksMax=infinity
LimitNOFILE=1048576
LimitMEMLOCK=infinity

[Install]
WantedBy=multi-user.target
"""


def unit_name(run_id: str, attempt: int) -> str:
    """Name of the unit."""
    return f"runctl-{run_id}-{attempt}.service"


def unit_text(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> str:
    """Write the unit's file."""
    return _TEXT.format(
        name=" ".join(command[-2:]),
        within_s=RESTARTS_WITHIN_S,
        restarts=RESTARTS,
        command=" ".join(_quoted(word).replace("$", "$$") for word in command),
        environment="\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()),
        log=str(log).replace("%", "%%"),
        stop_limit_s=STOP_LIMIT_S,
    )


def _quoted(word: str) -> str:
    """A word that systemd reads back as it is: quotes and backslashes as in C, `%` and `$` doubled (systemd.syntax(7),
    systemd.service(5)). Line ends cannot stand in it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped}"'
