"""Uploads checkpoints as they appear: files first, the manifest last. One without a manifest does not exist."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runctl.agent.checkpoint_folder import Checkpoint, CheckpointFolder
from runctl.agent.clock import Clock, iso
from runctl.agent.job import Job
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import Say

RETRY_S = 10.0
"""Pause after an upload that failed: a large checkpoint is read again from its beginning."""


@dataclass(frozen=True)
class Uploaded:
    """A checkpoint that lies in the bucket."""

    name: str
    step: int | None
    finished_ns: int
    manifest_key: str
    file_keys: tuple[str, ...]


class CheckpointUploader:
    """Uploads the checkpoints of one attempt and keeps the newest of them. Used by one thread at a time."""

    def __init__(
        self,
        folder: CheckpointFolder,
        store: ObjectStore,
        job: Job,
        saved: Callable[[dict[str, Any]], None],
        clock: Clock,
        say: Say,
    ) -> None:
        """Take where to look, where to put it, and who hears of each checkpoint (the data of `Checkpoint Saved`)."""
        self._folder = folder
        self._store = store
        self._job = job
        self._prefix = f"{job.prefix}checkpoints/"
        self._keep = job.keep_checkpoints
        self._saved = saved
        self._clock = clock
        self._say = say
        self._uploads = 0
        self._kept: list[Uploaded] = []
        self._failing = ""
        self._retry_at = clock.monotonic()
        self.longest_upload_s = 0.0

    @property
    def newest(self) -> Uploaded | None:
        """The newest checkpoint that is complete in the bucket."""
        return self._kept[-1] if self._kept else None

    def step(self) -> int:
        """Upload what is complete; says how many checkpoints got there."""
        ready = self._folder.complete()
        if self._clock.monotonic() < self._retry_at:
            return 0
        # Where more came than are kept, the older ones would be removed at once.
        for skipped in ready[: -self._keep]:
            self._folder.take(skipped)
        return sum(self._upload(checkpoint) for checkpoint in ready[-self._keep :])

    def finish(self) -> bool:
        """Upload what the training left, the newest first, for time may be short; says whether all got there."""
        ready = self._folder.complete(writer_is_gone=True)[-self._keep :]
        newest_first = sorted(ready, key=lambda checkpoint: checkpoint.finished_ns, reverse=True)
        results = [self._upload(checkpoint) for checkpoint in newest_first]
        return all(results)

    def _upload(self, checkpoint: Checkpoint) -> bool:
        begun_at = self._clock.monotonic()
        self._uploads += 1
        base = f"{self._prefix}{checkpoint.name}/"
        try:
            # A name that is written again gets other keys, so that the older manifest stays true until it is replaced.
            files = self._put_files(checkpoint, f"{base}files/{self._uploads}/")
            if not self._folder.is_still(checkpoint):
                self._store.delete(file["key"] for file in files)
                return False
            manifest = {
                "version": 1,
                "run_id": self._job.run_id,
                "attempt": self._job.attempt,
                "name": checkpoint.name,
                "step": checkpoint.step,
                "saved_at": iso(checkpoint.saved_at),
                "files": files,
            }
            self._store.put(f"{base}manifest.json", json.dumps(manifest, indent=1).encode())
        except FileNotFoundError:  # the training removed it while it was being read
            return False
        except OSError as error:
            self._retry_at = self._clock.monotonic() + RETRY_S
            if str(error) != self._failing:
                self._failing = str(error)
                self._say(f"checkpoint {checkpoint.name} could not be uploaded ({error}); trying on")
            return False
        self._failing = ""
        self._folder.take(checkpoint)
        self.longest_upload_s = max(self.longest_upload_s, self._clock.monotonic() - begun_at)
        keys = tuple(file["key"] for file in files)
        self._keep_newest(
            Uploaded(checkpoint.name, checkpoint.step, checkpoint.finished_ns, f"{base}manifest.json", keys)
        )
        self._tell(checkpoint, f"{base}manifest.json")
        return True

    def _put_files(self, checkpoint: Checkpoint, base: str) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = []
        for number, file in enumerate(checkpoint.files):
            # The key is a number: a file's own name may hold anything, a manifest's `path` says it.
            key = f"{base}{number}"
            stored = self._store.put_file(key, self._folder.path(file))
            files.append({"path": file.path, "key": key, "bytes": stored.bytes, "sha256": stored.sha256})
        return files

    def _keep_newest(self, uploaded: Uploaded) -> None:
        replaced = [old for old in self._kept if old.name == uploaded.name]
        kept = [old for old in self._kept if old.name != uploaded.name] + [uploaded]
        kept.sort(key=lambda one: one.finished_ns)
        self._kept = kept[-self._keep :]
        try:
            for old in replaced:
                self._store.delete(old.file_keys)
            for old in kept[: -self._keep]:
                self._store.delete((old.manifest_key, *old.file_keys))
        except OSError as error:  # the bucket's lifecycle rules remove it some day
            self._say(f"an older checkpoint could not be removed from the bucket: {error}")

    def _tell(self, checkpoint: Checkpoint, manifest_key: str) -> None:
        self._saved(
            {
                "name": checkpoint.name,
                "step": checkpoint.step,
                "manifest_key": manifest_key,
                "bytes": checkpoint.bytes,
                "files": len(checkpoint.files),
                "saved_at": iso(checkpoint.saved_at),
            }
        )
