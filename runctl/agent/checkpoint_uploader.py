"""Uploads checkpoints as they appear: files first, the manifest last. One without a manifest does not exist."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runctl.agent.checkpoint_folder import Checkpoint, CheckpointFolder, FileMark
from runctl.agent.checkpoint_keeping import StoredFile, Uploaded, keep_newest, keys_of
from runctl.agent.checkpoint_record import RecordFile
from runctl.agent.clock import Clock, iso
from runctl.agent.job import Job
from runctl.agent.known_files import KnownFiles, sample
from runctl.agent.object_store import ObjectStore
from runctl.agent.run_log import Say
from runctl.agent.upload_times import UploadTimes

RETRY_S = 10.0
"""Pause after an upload that failed: what is missing of a large checkpoint is read again from its beginning."""

PARALLEL_FILES = 4
"""The store bounds how many parts of them go at a time."""


class CheckpointUploader:
    """Uploads the checkpoints of one attempt and keeps the newest of them. Used by one thread at a time."""

    def __init__(
        self,
        folder: CheckpointFolder,
        record: RecordFile,
        store: ObjectStore,
        job: Job,
        saved: Callable[[dict[str, Any]], None],
        clock: Clock,
        say: Say,
        times: UploadTimes | None = None,
        may_be_read: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take where to look, what was done before, where to put it, and who hears of each checkpoint (the data of
        `Checkpoint Saved`). While `may_be_read`, another machine may be resuming from what lies there: then nothing
        that a manifest names is removed."""
        self._folder = folder
        self._file = record
        self._record = record.read()
        self._store = store
        self._job = job
        self._prefix = f"{job.prefix}checkpoints/"
        self._keep = job.keep_checkpoints
        self._saved = saved
        self._clock = clock
        self._say = say
        self._loose: tuple[StoredFile, ...] = ()
        """Files of an upload that did not come to its manifest: the next try need not upload them again."""
        self._may_be_named = False
        """Whether a manifest that names them may lie there: its upload failed, and nobody knows how far it came."""
        self._left_over = self._record.unfinished
        """Keys of an upload that the agent before this one had begun."""
        self._failing = ""
        self._retry_at = clock.monotonic()
        self.times = times or UploadTimes()
        self._may_be_read = may_be_read
        for one in self._record.kept:
            folder.note(one.name, one.marks)

    @property
    def newest(self) -> Uploaded | None:
        """The newest checkpoint that is complete in the bucket."""
        return self._record.kept[-1] if self._record.kept else None

    @property
    def newest_saved_at(self) -> datetime | None:
        """When the newest of them was finished on the machine."""
        newest = self.newest
        return None if newest is None else datetime.fromtimestamp(newest.finished_ns / 1e9, UTC)

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
        if all(results):
            self._remove_loose(())
        return all(results)

    def _upload(self, checkpoint: Checkpoint) -> bool:
        self.times.begin(checkpoint.bytes, self._clock.monotonic())
        arrived = False
        try:
            arrived = self._save(checkpoint)
        finally:
            self.times.end(self._clock.monotonic(), arrived=arrived)
        return arrived

    def _save(self, checkpoint: Checkpoint) -> bool:
        base = f"{self._prefix}{checkpoint.name}/"
        try:
            files = self._put_files(checkpoint, base)
            if not self._folder.is_still(checkpoint):
                return False
            self._may_be_named = True
            self._store.put(f"{base}manifest.json", self._manifest(checkpoint, files))
        except FileNotFoundError:  # the training removed it while it was being read
            return False
        except OSError as error:
            if not self._folder.is_still(checkpoint):  # S3 refused what was no longer what had been summed up
                return False
            self._retry_at = self._clock.monotonic() + RETRY_S
            if str(error) != self._failing:
                self._failing = str(error)
                self._say(f"checkpoint {checkpoint.name} could not be uploaded ({error}); trying on")
            return False
        self._failing = ""
        self._folder.take(checkpoint)
        manifest_key = f"{base}manifest.json"
        self._settle(
            Uploaded(
                checkpoint.name, checkpoint.step, checkpoint.finished_ns, manifest_key, tuple(files), checkpoint.files
            )
        )
        self._tell(checkpoint, manifest_key)
        return True

    def _put_files(self, checkpoint: Checkpoint, base: str) -> list[StoredFile]:
        """Upload what is not in the bucket yet. Raises OSError with what got there kept for the next try."""
        number = self._record.uploads + 1
        # A name that is written again gets other keys, so that the older manifest stays true until it is replaced. A
        # key ends in a number: a file's own name may hold anything, a manifest's `path` says it.
        keys = [f"{base}files/{number}/{place}" for place in range(len(checkpoint.files))]
        loose = tuple(dict.fromkeys([*(file.key for file in self._loose), *keys]))
        self._write(replace(self._record, uploads=number, unfinished=loose))
        stored_before = [file for one in self._record.kept for file in one.files]
        known = KnownFiles([*stored_before, *self._loose])
        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            running = [
                pool.submit(self._put, file, key, known) for file, key in zip(checkpoint.files, keys, strict=True)
            ]
            wait(running, return_when="FIRST_EXCEPTION")
            pool.shutdown(cancel_futures=True)
        arrived = [each.result() for each in running if not each.cancelled() and each.exception() is None]
        is_whole = len(arrived) == len(running)
        if is_whole and not self._may_be_named:
            self._remove_loose(arrived)
        kept_keys = keys_of(self._record.kept)
        self._loose = (*self._loose, *(file for file in arrived if file.key not in kept_keys))
        if not is_whole:
            raise next(error for each in running if not each.cancelled() and (error := each.exception()) is not None)
        return arrived

    def _put(self, file: FileMark, key: str, known: KnownFiles) -> StoredFile:
        path = self._folder.path(file)
        sampled = sample(path, file.bytes)
        if (same := known.same(path, file.bytes, sampled)) is not None:
            return replace(same, path=file.path)
        stored = self._store.put_file(key, path)
        return StoredFile(file.path, key, stored.bytes, stored.sha256, sampled)

    def _manifest(self, checkpoint: Checkpoint, files: Sequence[StoredFile]) -> bytes:
        manifest = {
            "version": 1,
            "run_id": self._job.run_id,
            "attempt": self._job.attempt,
            "name": checkpoint.name,
            "step": checkpoint.step,
            "saved_at": iso(checkpoint.saved_at),
            "files": [
                {"path": file.path, "key": file.key, "bytes": file.bytes, "sha256": file.sha256} for file in files
            ],
        }
        return json.dumps(manifest, indent=1).encode()

    def _settle(self, uploaded: Uploaded) -> None:
        """Note what lies there now, and remove what is not kept."""
        keeping = keep_newest(self._record.kept, uploaded, self._keep)
        self._write(replace(self._record, kept=keeping.kept, unfinished=()))
        self._may_be_named = False
        # A manifest that the agent before this one wrote last of all is replaced now.
        own = [key for key in self._left_over if key.startswith(f"{self._prefix}{uploaded.name}/")]
        self._left_over = tuple(key for key in self._left_over if key not in own)
        # A checkpoint too many costs its storage; one that the next machine was offered and does not find costs work.
        self._remove(own if self._may_be_read() else [*keeping.removed, *own])
        self._remove_loose(())

    def _remove_loose(self, but: Sequence[StoredFile]) -> None:
        """Remove what an upload left that came to no manifest, but what is named now."""
        needed = keys_of(self._record.kept) | {file.key for file in but}
        gone = [file.key for file in self._loose if file.key not in needed]
        self._loose = ()
        self._remove(gone)

    def _remove(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        try:
            self._store.delete(keys)
        except OSError as error:  # nothing names it any more: it only costs its storage
            self._say(f"an older checkpoint could not be removed from the bucket: {error}")

    def _write(self, record: Any) -> None:
        self._record = record
        try:
            self._file.write(record)
        except OSError as error:  # needed only by an agent that is started again
            if str(error) != self._failing:
                self._failing = str(error)
                self._say(f"what is uploaded could not be noted on the disk: {error}")

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
