"""Data of S3 that was allowed at deployment reaches a training, on a second machine too; any other does not."""

import pytest

from tests.local.runs.cloud import Cloud

pytestmark = pytest.mark.local_cloud

READ = """\
# The first attempt waits until it is asked to leave; each says what data it finds.
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
data = pathlib.Path(os.environ["RUNCTL_DATA_DIR"])
found = {str(path.relative_to(data)): path.read_text() for path in sorted(data.rglob("*")) if path.is_file()}
print("found", found, pathlib.Path("labels/today.csv").read_text(), flush=True)
if os.environ["RUNCTL_ATTEMPT"] == "1":
    time.sleep(600)
"""


def test_data_of_an_allowed_bucket_is_there_for_each_attempt_and_no_other_buckets(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    for bucket in ("kite-pictures", "payroll"):
        s3.create_bucket(Bucket=bucket)
    objects = {"train/a.txt": "first", "train/deep/b.txt": "second", "test/c.txt": "not asked for", "labels.csv": "l"}
    for key, text in objects.items():
        s3.put_object(Bucket="kite-pictures", Key=key, Body=text.encode())
    (cloud.root / "read.py").write_text(READ)
    data = ("--data", "s3://kite-pictures/train", "--data", "s3://kite-pictures/labels.csv:labels/today.csv")

    deployed = cloud.runctl("deploy", "--yes", "--target", "local", "--data-bucket", "kite-pictures")
    refused = cloud.runctl(
        *("train", "read.py", "--instance-type", "t3.micro", "--yes", "--data", "s3://payroll/salaries")
    )
    run_id = cloud.train("read.py", options=("--spot", *data))
    cloud.wait_for_event(run_id, "training_started", 90.0)
    interrupted = cloud.runctl("local", "interrupt", run_id, "--notice", "10s")
    run = cloud.wait_for_end(run_id, 120.0)

    assert deployed.exit_code == 0, deployed
    assert interrupted.exit_code == 0, interrupted
    assert refused.exit_code != 0
    assert "--data-bucket" in refused.stdout, refused
    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    assert len(run["attempts"]) == 2
    for attempt in ("1", "2"):
        log = cloud.runctl("logs", run_id, "--attempt", attempt, output="text").stdout
        assert "'a.txt': 'first'" in log.replace("train/", ""), log
        assert "deep/b.txt': 'second'" in log
        assert "not asked for" not in log
        assert "} l\n" in log
        assert "runctl: fetched 2 files" in log
