"""The project's way to the machine on the local cloud: what moves, what arrives, what is said of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.local.runs.cloud import Cloud
from tests.local.runs.project import LOCAL_DIR

pytestmark = pytest.mark.local_cloud

LIST: str = """\
import hashlib, pathlib
for path in sorted(pathlib.Path().rglob("*")):
    if path.is_file():
        print(path.as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()[:12], path.stat().st_mode & 0o100)
"""


@pytest.fixture
def folder(cloud: Cloud) -> Path:
    """A project of its own beside the scripts."""
    folder = cloud.root / "synced"
    if not folder.exists():
        (folder / "package").mkdir(parents=True)
        (folder / ".runctl.toml").write_text(f'target = "local"\n[local]\ndir = "{LOCAL_DIR}"\n')
        (folder / "list.py").write_text(LIST)
        for number in range(40):
            (folder / f"package/module{number}.py").write_text(f"value = {number}\n" * 100)
    return folder


def _listed(cloud: Cloud, run_id: str) -> dict[str, str]:
    run = cloud.wait_for_end(run_id)
    assert run["status"] == "SUCCEEDED", cloud.story(run_id)
    lines = [entry["text"] for entry in cloud.runctl("logs", run_id).data["lines"]]
    found = [line.split() for line in lines if not line.startswith("runctl: ")]
    return {path: digest for path, digest, _ in found}


def _sync(cloud: Cloud, *words: str) -> dict[str, Any]:
    command = cloud.runctl("sync", *words, folder="synced")
    assert command.exit_code == 0, command
    return command.data


def test_changes_and_deletions_arrive_and_nothing_else_moves(cloud: Cloud, folder: Path) -> None:
    first = _sync(cloud)
    unchanged = _sync(cloud)
    (folder / "package/module7.py").write_text("value = 'changed'\n" * 100)
    (folder / "package/module8.py").unlink()
    (folder / "run.sh").write_text("#!/bin/sh\n")
    changed = _sync(cloud)

    listed = _listed(cloud, cloud.train("list.py", folder="synced"))

    assert (first["sent_files"], unchanged["sent_bytes"], changed["sent_files"]) == (42, 0, 2)
    assert unchanged["sha256"] == first["sha256"]
    assert set(listed) == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_machines_word_that_all_arrived_is_told_while_waiting_and_in_log_and_timeline(
    cloud: Cloud, folder: Path
) -> None:
    command = cloud.runctl(
        "train", "list.py", "--instance-type", "t3.micro", "--yes", "--wait", output="text", folder="synced"
    )

    assert command.exit_code == 0, command
    assert "Code sync verified: script and directories found (" in command.stderr
    run_id = cloud.runctl("ps", "--limit", "1", folder="synced").data["runs"][0]["run_id"]
    (started,) = [event for event in cloud.events(run_id) if event["kind"] == "training_started"]
    assert "Code sync verified: script and directories found (" in started["text"]
    assert any("Code sync verified" in entry["text"] for entry in cloud.runctl("logs", run_id).data["lines"])


def test_pack_that_is_gone_from_the_bucket_is_sent_again(cloud: Cloud, folder: Path) -> None:
    _sync(cloud)
    s3 = cloud.client("s3")
    (bucket,) = [b["Name"] for b in s3.list_buckets()["Buckets"] if "storagebucket" in b["Name"]]
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix="code/packs/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=entry["Key"])

    again = _sync(cloud)

    assert again["sent_files"] == again["files"]
    assert len(_listed(cloud, cloud.train("list.py", folder="synced"))) == again["files"]


def test_file_that_was_damaged_in_the_bucket_ends_the_run_before_it_trains(cloud: Cloud, folder: Path) -> None:
    (folder / "package/module9.py").write_text("value = 'whole'\n")
    synced = _sync(cloud)
    s3 = cloud.client("s3")
    (bucket,) = [b["Name"] for b in s3.list_buckets()["Buckets"] if "storagebucket" in b["Name"]]
    newest = max(
        s3.list_objects_v2(Bucket=bucket, Prefix="code/packs/")["Contents"], key=lambda entry: entry["LastModified"]
    )
    s3.put_object(Bucket=bucket, Key=newest["Key"], Body=b"\0" * newest["Size"])

    run = cloud.wait_for_end(cloud.train("list.py", folder="synced"))
    s3.delete_object(Bucket=bucket, Key=newest["Key"])

    assert synced["sent_files"] == 1
    assert (run["status"], run["reason"]) == ("FAILED", "SETUP_FAILED")
    assert any("damaged" in event["text"] for event in cloud.events(run["run_id"]))
