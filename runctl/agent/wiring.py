"""Puts the real world behind the two commands that talk with AWS."""

import fcntl
import json
import os
import signal
import threading
import time
import traceback
from pathlib import Path

from runctl.agent import out_of_memory
from runctl.agent.allocator import give_back_what_is_freed
from runctl.agent.announce import announce, read_identity
from runctl.agent.clients import Aws, EcrRegistry, EventBridgeBus, LogStream, SecretReader, TaskHeartbeats
from runctl.agent.clock import CorrectedClock, SystemClock
from runctl.agent.course import StartAgainError
from runctl.agent.data import S3DataStore
from runctl.agent.image import is_private_ecr
from runctl.agent.imds import Imds
from runctl.agent.instance_store import InstanceStore
from runctl.agent.job import Job, JobError, read_job
from runctl.agent.keeper import boot_id
from runctl.agent.layout import AttemptFolder, MachineRecord, machine_record
from runctl.agent.leftovers import mark
from runctl.agent.nvml import Gpus
from runctl.agent.object_store import S3ObjectStore
from runctl.agent.power import MachinePower
from runctl.agent.resume import HttpLinks
from runctl.agent.run_log import Say
from runctl.agent.start import CANNOT_START, START_AGAIN, forget
from runctl.agent.supervisor import Supervisor
from runctl.agent.training_process import KeptTrainings
from runctl.agent.world import World

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
    """Be the supervisor, the first or one that takes over from one that died; answers the exit code.

    `CANNOT_START` when the job cannot be read, `START_AGAIN` when the agent failed, else 0 when the machine ends.
    """
    give_back_what_is_freed()
    metadata = Imds()
    clock = CorrectedClock(metadata.clock_error_s)
    folder.create()
    lock = os.open(folder.supervisor_lock, os.O_CREAT | os.O_RDWR, 0o600)  # let go by the process's end alone
    fcntl.flock(lock, fcntl.LOCK_EX)
    mark(folder)
    record = MachineRecord.read(machine_record(machine_root))
    try:
        job = _job(record, metadata, folder, run_id, attempt)
    except (OSError, JobError) as error:
        say(str(error))
        return CANNOT_START
    going_down = threading.Event()

    def go_down(_number: int, _frame: object) -> None:
        going_down.set()

    signal.signal(signal.SIGTERM, go_down)
    aws = Aws(job.region, clock.now)
    world = World(
        clock=clock,
        clock_error_s=metadata.clock_error_s,
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
        metrics_stream=LogStream(aws.client("logs"), job.log_group, job.metrics_stream),
        gpus=Gpus(),
        links=HttpLinks(),
        secrets=SecretReader({service: aws.client(service) for service in _secret_services(job)}),
        power=MachinePower(),
        trainings=KeptTrainings(),
        boot_id=boot_id,
        memory_kills=out_of_memory.machine_kills if job.image else out_of_memory.kills,
        memory=out_of_memory.memory,
        data=S3DataStore(aws.client("s3")),
        registry=EcrRegistry(aws.client("ecr")) if is_private_ecr(job.image) else None,
        instance_store=InstanceStore(machine_root),
        python_install_s=record.python_install_s,
    )
    supervisor = Supervisor(job, folder, machine_root / "tools", world)
    folder.ready.write_text(json.dumps({"pid": os.getpid()}) + "\n")
    try:
        supervisor.run()
    except StartAgainError as error:
        say("".join(traceback.format_exception(error)))
        return START_AGAIN
    if supervisor.is_machine_kept:
        forget(run_id, attempt)
    return 0


def _job(record: MachineRecord, metadata: Imds, folder: AttemptFolder, run_id: str, attempt: int) -> Job:
    """Read the job: here, when a supervisor before us read it, for it may be another time when the bucket is out of
    reach. Raises OSError or JobError."""
    if folder.job.exists():
        return read_job(folder.job.read_bytes())
    text = _own_job(record, metadata.require("instance-id"), run_id, attempt)
    new = folder.job.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
    new.replace(folder.job)
    return read_job(text)


def _secret_services(job: Job) -> set[str]:
    """What secrets are read from: a client that nobody needs would cost time and memory."""
    return {place.partition(":")[0] for place in job.secrets.values()}


def _own_job(record: MachineRecord, instance_id: str, run_id: str, attempt: int) -> bytes:
    store = S3ObjectStore(Aws(record.region).client("s3"), record.bucket)
    text = store.get(record.handoff_key(instance_id))
    job = read_job(text)
    if (job.run_id, job.attempt, job.instance_id) != (run_id, attempt, instance_id):
        raise JobError(f"the hand-off is for attempt {job.attempt} of {job.run_id} on {job.instance_id}")
    return text


def _newest_token(record: MachineRecord, instance_id: str, run_id: str, attempt: int) -> str | None:
    try:
        return read_job(_own_job(record, instance_id, run_id, attempt)).task_token
    except JobError:
        return None
