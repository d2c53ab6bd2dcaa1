"""Jobs, as the controller writes them and as the agent reads them."""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from runctl.agent.job import Job, LinkedFile, ResumePoint, read_job
from runctl.model.code import CodeFile, CodeListing, CodePack
from runctl.model.ids import AttemptNumber, InstanceId, RunId, TaskToken
from runctl.model.job import AgentJob
from runctl.model.keys import code_key, pack_key
from runctl.model.run import CodeRef

RUN_ID = RunId("r-0123456789ab")
INSTANCE_ID = InstanceId("i-0123456789abcdef0")
SECRET = "5e" * 32
PREFIX = f"runs/{RUN_ID}/attempts/0002/AROAEXAMPLE:{INSTANCE_ID}/"


@dataclass(frozen=True)
class Project:
    """A project as it lies in the bucket."""

    code: CodeRef
    objects: dict[str, bytes]


def project(files: Mapping[str, str], *, executable: frozenset[str] = frozenset()) -> Project:
    """Lay a project out in one pack, every other file compressed."""
    rows: list[CodeFile] = []
    pack = b""
    for number, (path, text) in enumerate(files.items()):
        body = text.encode()
        stored = zlib.compress(body) if number % 2 else body
        digest = sha256(body).hexdigest()
        rows.append(CodeFile(path, digest, len(body), path in executable, 0, len(pack), len(stored), bool(number % 2)))
        pack += stored
    key = pack_key(sha256(pack).hexdigest())
    return listed(CodeListing(packs=(CodePack(key, len(pack)),), files=tuple(rows)), {key: pack})


def listed(listing: CodeListing, packs: Mapping[str, bytes]) -> Project:
    """A project by its listing."""
    body = gzip.compress(listing.model_dump_json().encode(), mtime=0)
    digest = sha256(body).hexdigest()
    code = CodeRef(key=code_key(digest), sha256=digest, bytes=len(body))
    return Project(code, {code.key: body, **packs})


def agent_job(code: Project | None = None, **fields: Any) -> AgentJob:
    """A hand-off as the controller writes it."""
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
        "metrics_stream": f"{RUN_ID}/0002/metrics",
        "prefix": PREFIX,
        "code": (code or project({})).code,
        "script": "train.py",
        "max_runtime_s": 3_600,
        "save_limit_s": 300,
        "heartbeat_interval_s": 60,
        "dead_man_s": 1_800,
    }
    return AgentJob(**(given | fields))


def job(code: Project | None = None, **fields: Any) -> Job:
    """The same, as the agent reads it."""
    return read_job(agent_job(code, **fields).model_dump_json())


def resume_point(name: str, **contents: bytes) -> tuple[ResumePoint, dict[str, bytes]]:
    """A checkpoint of these files, and what its links answer."""
    files = tuple(
        LinkedFile(f"{name}/{file}", len(data), sha256(data).hexdigest(), f"https://s3/{name}/{file}")
        for file, data in contents.items()
    )
    links = {f"https://s3/{name}/{file}": data for file, data in contents.items()}
    return ResumePoint(f"runs/{name}/manifest.json", name, None, files), links
