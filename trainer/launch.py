"""Starts a round's process, and ends it: with the worker it ends too, even where that is killed."""

import logging
import os
import signal
import subprocess
import sys
import threading
from itertools import chain, count
from pathlib import Path

from serving.process.files import write_file
from trainer.progress import StageProgress, read_progress
from trainer.results import (
    FAILURE,
    JOB,
    PROGRESS,
    RESULT,
    Failure,
    RoundJob,
    RoundResult,
    request_hash,
)

logger = logging.getLogger(__name__)

STOP_GRACE_S = 3.0


def prepare(job: RoundJob) -> Path:
    """Write `job.json` into the round's folder and return its path.

    What this very round left there is kept, so that it goes on. What is there of another request,
    as of an earlier Kafka or of another one that shares the disk, is set aside and never used.
    """
    path = job.folder / JOB
    if job.folder.exists():
        begun_by = _begun_by(path)
        if begun_by != request_hash(job.retrain):
            aside = _set_aside(job.folder, begun_by)
            logger.warning(
                "%s was begun by another request than this round's; it is kept as %s and not used, "
                "delete it if nobody needs it",
                job.folder, aside.name,
            )  # fmt: skip
    write_file(path, job.model_dump_json(indent=2).encode())
    return path


def _begun_by(path: Path) -> str:
    """The hash of the request in a folder's `job.json`; of one that cannot be read, a word."""
    try:
        return request_hash(RoundJob.model_validate_json(path.read_bytes()).retrain)
    except (OSError, ValueError):
        return "unknown"


def _set_aside(folder: Path, begun_by: str) -> Path:
    name = f"{folder.name}.of-{begun_by[:8]}"
    names = chain([name], (f"{name}.{number}" for number in count(2)))
    aside = next(path for path in map(folder.with_name, names) if not path.exists())
    return folder.rename(aside)


def command(job: Path, processes: int = 1, *flags: str) -> list[str]:
    """The command line that runs the job at `job`.

    One process is started plainly: the launcher would only add seconds and another process to it.
    """
    module = ["-m", "trainer.round", "--job", str(job), *flags]
    if processes == 1:
        return [sys.executable, *module]
    launcher = [sys.executable, "-m", "accelerate.commands.launch"]
    # `--multi_gpu` stands for PyTorch's own launcher, which serves many CPU processes as well; port
    # 0 lets it choose a free one.
    launcher += ["--multi_gpu", "--num_processes", str(processes), "--main_process_port", "0"]
    return [*launcher, *module]


def end_with_parent() -> None:
    """End this process group when standard input closes, as it does when the parent is gone."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held here, would crash the interpreter's own ending.
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class RoundProcess:
    """A round at work in a process group of its own."""

    def __init__(self, job: RoundJob) -> None:
        """Start it, or go on where it was."""
        self._folder = job.folder
        self._process = subprocess.Popen(
            command(prepare(job), job.trainer.processes, "--end-with-parent"),
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self._process.poll() is not None

    def progress(self) -> StageProgress | None:
        """How far it is."""
        return read_progress(self._folder / PROGRESS)

    def outcome(self) -> RoundResult | Failure:
        """What an ended round left behind."""
        status = self._process.returncode
        if status == 0:
            return RoundResult.model_validate_json((self._folder / RESULT).read_bytes())
        failure = self._folder / FAILURE
        if failure.exists():
            return Failure.model_validate_json(failure.read_bytes())
        return Failure(reason=f"the round's process ended with status {status}; see the log")

    def stop(self) -> None:
        """End it and all that it started, within seconds. Does nothing to one that has ended."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, kind)
                self._process.wait(STOP_GRACE_S)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
