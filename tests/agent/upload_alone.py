"""Uploads the checkpoints of a folder as the agent does, in a process of its own, and prints what it took as JSON."""

import json
import resource
import sys
import time
from pathlib import Path

from runctl.agent.allocator import give_back_what_is_freed
from runctl.agent.checkpoint_folder import CheckpointFolder
from runctl.agent.checkpoint_record import RecordFile
from runctl.agent.checkpoint_uploader import CheckpointUploader
from runctl.agent.clients import Aws
from runctl.agent.clock import SystemClock
from runctl.agent.object_store import S3ObjectStore
from tests.agent.factories import job


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(folder: Path) -> None:
    """Upload what is there; AWS_ENDPOINT_URL says where to."""
    give_back_what_is_freed()
    store = S3ObjectStore(Aws("us-east-1").client("s3"), "bucket")
    record = RecordFile(folder.with_name("uploads.json"))
    uploader = CheckpointUploader(
        CheckpointFolder(folder), record, store, job(), lambda _: None, SystemClock(), sys.stderr.write
    )
    before_mib, begun_at, begun_cpu_s = _peak_mib(), time.monotonic(), time.process_time()
    assert uploader.finish()
    took = {
        "before_mib": before_mib,
        "peak_mib": _peak_mib(),
        "seconds": time.monotonic() - begun_at,
        "cpu_s": time.process_time() - begun_cpu_s,
    }
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
