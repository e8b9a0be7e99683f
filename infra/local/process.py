"""One supervised process: what to run, and the handle on it while it runs.

The command runs under reaper.py in a session of its own, so that a Ctrl-C in the terminal reaches
the supervisor only and its whole process group can be ended at once.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.local.state import ProcessState

REAPER = Path(__file__).with_name("reaper.py")


@dataclass(frozen=True)
class ProcessSpec:
    """One process to keep running.

    command: program and arguments. env: added to the supervisor's own environment.
    ready: asked again and again until it answers true; it must answer within a second or two.
    needs: names of the processes that must be ready before this one starts.
    prepare: called before every start, such as to write a configuration file.
    stop_grace_s: time between SIGTERM and SIGKILL. ports: only told in the state.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], bool] | None = None
    needs: tuple[str, ...] = ()
    ready_timeout_s: float = 60.0
    stop_grace_s: float = 10.0
    prepare: Callable[[], None] | None = None
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Running:
    """What is known of one process; only the supervisor's thread changes it."""

    spec: ProcessSpec
    log: Path
    state: ProcessState = "waiting"
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0  # monotonic seconds
    ready_since: float | None = None  # seconds since the epoch
    resume_at: float = 0.0  # monotonic seconds
    was_ready: bool = False
    deaths: list[float] = field(default_factory=list)  # monotonic seconds
    restarts: int = 0

    def launch(self, lifeline: int) -> None:
        """Start the command; it ends when the other end of the pipe `lifeline` is closed."""
        command = [sys.executable, "-I", "-S", str(REAPER), str(lifeline), *self.spec.command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                # A Python process shall not keep its last words in a buffer when it is killed.
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.env},
                cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lifeline,),
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def main_pid(self) -> int | None:
        """The process id of the command itself, not of the reaper around it."""
        if self.process is None or self.process.poll() is not None:
            return None
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.Error:
            return None
        return children[0].pid if children else None

    def ask_to_end(self) -> None:
        """SIGTERM to the command; its children are its own to end."""
        if self.process is not None:
            self.process.terminate()

    def wait_for_end(self) -> None:
        """Wait as long as the command may take to end by itself."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.spec.stop_grace_s)

    def kill_group(self) -> None:
        """SIGKILL whatever is left of it."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
