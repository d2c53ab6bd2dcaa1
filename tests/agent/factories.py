"""Jobs, as the controller writes them and as the agent reads them."""

import io
import tarfile
from hashlib import sha256
from typing import Any

from runctl.agent.job import Job, read_job
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.job import AgentJob
from runctl.model.run import CodeRef

RUN_ID = RunId("r-0123456789ab")
INSTANCE_ID = InstanceId("i-0123456789abcdef0")
SECRET = "5e" * 32
PREFIX = f"runs/{RUN_ID}/attempts/0002/AROAEXAMPLE:{INSTANCE_ID}/"


def archive(files: dict[str, str]) -> bytes:
    """A project's archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def agent_job(code: bytes = b"", **fields: Any) -> AgentJob:
    """A hand-off as the controller writes it."""
    digest = sha256(code).hexdigest()
    given: dict[str, Any] = {
        "run_id": RUN_ID,
        "attempt": AttemptNumber(2),
        "instance_id": INSTANCE_ID,
        "task_token": TaskToken("token"),
        "secret": SECRET,
        "region": "eu-central-1",
        "bucket": "bucket",
        "bus_name": "runctl",
        "log_group": "/runctl/machines",
        "log_stream": f"{RUN_ID}/0002",
        "prefix": PREFIX,
        "code": CodeRef(key=f"code/{digest}.tar.gz", sha256=digest, bytes=len(code)),
        "script": "train.py",
        "max_runtime_s": 3_600,
        "save_limit_s": 300,
        "heartbeat_interval_s": 60,
        "dead_man_s": 1_800,
    }
    return AgentJob(**(given | fields))


def job(code: bytes = b"", **fields: Any) -> Job:
    """The same, as the agent reads it."""
    return read_job(agent_job(code, **fields).model_dump_json())
