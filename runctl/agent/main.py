"""The agent's commands, as `bin/runctl-agent` passes them on."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from runctl.agent.announce import announce, read_identity
from runctl.agent.clients import Aws, EventBridgeBus, LogStream, TaskHeartbeats
from runctl.agent.clock import SystemClock
from runctl.agent.imds import Imds
from runctl.agent.job import Job, JobError, read_job
from runctl.agent.layout import AttemptFolder, MachineRecord, machine_record, root
from runctl.agent.object_store import S3ObjectStore
from runctl.agent.power import MachinePower
from runctl.agent.request_files import Request, leave
from runctl.agent.resume import HttpLinks
from runctl.agent.start import StartFailedError, start
from runctl.agent.supervisor import Supervisor, World, count_memory_kills, start_process

RETRY_LIMIT_S = 240.0
"""How long the metadata may take to show the tags, and the role's credentials to come, after a launch."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; answers its exit code."""
    parsed = _parser().parse_args(arguments)
    machine_root = root()
    if parsed.command == "announce":
        return _announce(machine_root)
    folder = AttemptFolder.of(machine_root, parsed.run, parsed.attempt)
    match parsed.command:
        case "start":
            return _start(folder, parsed.run, parsed.attempt)
        case "stop":
            leave(folder.requests, Request.STOP_NOW if parsed.now else Request.STOP)
        case "notice":
            leave(folder.requests, Request.NOTICE)
        case _:
            return _supervise(machine_root, folder, parsed.run, parsed.attempt)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="runctl-agent", description="Runs trainings on this machine for runctl.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("announce", help="tell the controller that this machine is ready")
    for name, text in {
        "start": "start an attempt's supervisor; does nothing when there is one",
        "stop": "ask a training to save and leave",
        "notice": "ask the instance metadata for a notice at once",
        "supervise": "be the supervisor of an attempt",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("run")
        command.add_argument("attempt", type=int)
        if name == "stop":
            command.add_argument("--now", action="store_true", help="end it at once; nothing more is saved")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"runctl-agent: {text}\n")
    sys.stderr.flush()


def _announce(machine_root: Path) -> int:
    record = MachineRecord.read(machine_record(machine_root))
    metadata = Imds()
    limit = time.monotonic() + RETRY_LIMIT_S
    while True:
        try:
            identity = read_identity(metadata)
            break
        except OSError as error:
            if time.monotonic() > limit:
                _say(str(error))
                return 1
            time.sleep(1.0)
    bus = EventBridgeBus(Aws(record.region).client("events"), record.bus_name)
    announce(identity, machine_root, bus, SystemClock(), time.sleep, _say)
    return 0


def _start(folder: AttemptFolder, run_id: str, attempt: int) -> int:
    program = Path(sys.path[0]).parent / "bin" / "runctl-agent"
    try:
        is_new = start(folder, run_id, attempt, program)
    except StartFailedError as error:
        _say(str(error))
        return 1
    if not is_new:
        _say("this attempt was started before")
    return 0


def _supervise(machine_root: Path, folder: AttemptFolder, run_id: str, attempt: int) -> int:
    record = MachineRecord.read(machine_record(machine_root))
    metadata = Imds()
    instance_id = metadata.require("instance-id")
    try:
        job = _read_own_job(record, instance_id, run_id, attempt)
    except (OSError, JobError) as error:
        _say(str(error))
        return 1
    aws = Aws(job.region)
    world = World(
        clock=SystemClock(),
        wait=time.sleep,
        metadata=metadata,
        store=S3ObjectStore(aws.client("s3"), job.bucket),
        bus=EventBridgeBus(aws.client("events"), job.bus_name),
        heartbeats=TaskHeartbeats(aws.client("stepfunctions")),
        stream=LogStream(aws.client("logs"), job.log_group, job.log_stream),
        links=HttpLinks(),
        power=MachinePower(),
        start=start_process,
        memory_kills=count_memory_kills,
    )
    folder.create()
    supervisor = Supervisor(job, folder, machine_root / "tools", world)
    folder.ready.write_text(json.dumps({"pid": os.getpid()}) + "\n")
    supervisor.run()
    return 0


def _read_own_job(record: MachineRecord, instance_id: str, run_id: str, attempt: int) -> Job:
    store = S3ObjectStore(Aws(record.region).client("s3"), record.bucket)
    job = read_job(store.get(record.handoff_key(instance_id)))
    if (job.run_id, job.attempt, job.instance_id) != (run_id, attempt, instance_id):
        raise JobError(f"the hand-off is for attempt {job.attempt} of {job.run_id} on {job.instance_id}")
    return job
