"""Puts together what is known of a training's figures and of its machine's load."""

from dataclasses import dataclass

from runctl.agent.board_files import BoardFiles
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.machine_load import MachineLoad
from runctl.agent.metrics import Metrics
from runctl.agent.progress import Progress
from runctl.agent.run_log import LineReader, RunLog
from runctl.agent.world import World

LOG_TAIL_BYTES = 64 * 1024
"""What is looked at for figures, of what the training printed since the last look."""


@dataclass(frozen=True)
class Observing:
    """What the supervisor works with."""

    boards: BoardFiles
    progress: Progress
    metrics: Metrics


def observe(job: Job, folder: AttemptFolder, log: RunLog, world: World) -> Observing:
    """Follow the metrics file, TensorBoard's files and the end of the log."""
    boards = BoardFiles((folder.output, folder.code), world.clock, log.say)
    log_tail = LineReader(log.path, newest_bytes=LOG_TAIL_BYTES)
    progress = Progress(LineReader(folder.metrics), log_tail, boards)
    looks = (MachineLoad(folder.path, world.clock), world.gpus)
    metrics = Metrics(job, progress.take, looks, world.metrics_stream, world.store, world.clock, log.say)
    return Observing(boards, progress, metrics)
