"""Puts the real world behind the two commands that talk with AWS."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from runctl.agent.allocator import give_back_what_is_freed
from runctl.agent.announce import announce, read_identity
from runctl.agent.clients import Aws, EventBridgeBus, LogStream, SecretReader, TaskHeartbeats
from runctl.agent.clock import SystemClock
from runctl.agent.imds import Imds
from runctl.agent.job import Job, JobError, read_job
from runctl.agent.layout import AttemptFolder, MachineRecord, machine_record
from runctl.agent.object_store import S3ObjectStore
from runctl.agent.power import MachinePower
from runctl.agent.resume import HttpLinks
from runctl.agent.run_log import Say
from runctl.agent.supervisor import Supervisor, World, count_memory_kills, start_process

RETRY_LIMIT_S = 240.0
"""How long the metadata may take to show the machine's tags after a launch."""


def announce_machine(machine_root: Path, say: Say) -> int:
    """Announce this machine until its start command arrives; answers the exit code."""
    record = MachineRecord.read(machine_record(machine_root))
    metadata = Imds()
    limit = time.monotonic() + RETRY_LIMIT_S
    while True:
        try:
            identity = read_identity(metadata)
            break
        except OSError as error:
            if time.monotonic() > limit:
                say(str(error))
                return 1
            time.sleep(1.0)
    bus = EventBridgeBus(Aws(record.region).client("events"), record.bus_name)
    announce(identity, machine_root, bus, SystemClock(), time.sleep, say)
    return 0


def supervise_attempt(machine_root: Path, folder: AttemptFolder, run_id: str, attempt: int, say: Say) -> int:
    """Be the supervisor; answers the exit code when the job cannot be read, else when the machine ends."""
    give_back_what_is_freed()
    record = MachineRecord.read(machine_record(machine_root))
    metadata = Imds()
    try:
        job = _read_own_job(record, metadata.require("instance-id"), run_id, attempt)
    except (OSError, JobError) as error:
        say(str(error))
        return 1
    going_down = threading.Event()

    def go_down(_number: int, _frame: object) -> None:
        going_down.set()

    signal.signal(signal.SIGTERM, go_down)
    aws = Aws(job.region)
    world = World(
        clock=SystemClock(),
        wait=time.sleep,
        rest=going_down.wait,
        is_going_down=going_down.is_set,
        metadata=metadata,
        store=S3ObjectStore(aws.client("s3"), job.bucket),
        bus=EventBridgeBus(aws.client("events"), job.bus_name),
        heartbeats=TaskHeartbeats(
            aws.client("stepfunctions"), lambda: _newest_token(record, job.instance_id, run_id, attempt)
        ),
        stream=LogStream(aws.client("logs"), job.log_group, job.log_stream),
        links=HttpLinks(),
        secrets=SecretReader({service: aws.client(service) for service in _secret_services(job)}),
        power=MachinePower(),
        start=start_process,
        memory_kills=count_memory_kills,
    )
    folder.create()
    supervisor = Supervisor(job, folder, machine_root / "tools", world)
    folder.ready.write_text(json.dumps({"pid": os.getpid()}) + "\n")
    supervisor.run()
    return 0


def _secret_services(job: Job) -> set[str]:
    """What secrets are read from: a client that nobody needs would cost time and memory."""
    return {place.partition(":")[0] for place in job.secrets.values()}


def _read_own_job(record: MachineRecord, instance_id: str, run_id: str, attempt: int) -> Job:
    store = S3ObjectStore(Aws(record.region).client("s3"), record.bucket)
    job = read_job(store.get(record.handoff_key(instance_id)))
    if (job.run_id, job.attempt, job.instance_id) != (run_id, attempt, instance_id):
        raise JobError(f"the hand-off is for attempt {job.attempt} of {job.run_id} on {job.instance_id}")
    return job


def _newest_token(record: MachineRecord, instance_id: str, run_id: str, attempt: int) -> str | None:
    try:
        return _read_own_job(record, instance_id, run_id, attempt).task_token
    except JobError:
        return None
