"""The state file of a running stack: `run_dir/state.json`, written whole at every change."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

import psutil

from infra.local.errors import SupervisorError
from serving.process.files import write_file

ProcessState = Literal["waiting", "starting", "ready", "pausing", "failed", "stopped"]
"""waiting for what it needs, starting, ready, pausing after a death, given up, ended in order."""

STATE_FILE = "state.json"


def write_state(run_dir: Path, processes: dict[str, dict[str, Any]]) -> None:
    """Replace the state file."""
    supervisor = psutil.Process()
    state = {
        "supervisor": {"pid": supervisor.pid, "created": supervisor.create_time()},
        "written": time.time(),
        "processes": processes,
    }
    write_file(run_dir / STATE_FILE, json.dumps(state, indent=1).encode())


def read_state(run_dir: Path) -> dict[str, Any] | None:
    """The last written state with `alive` added: whether its supervisor still runs.

    None if no stack was ever run there.
    """
    try:
        state: dict[str, Any] = json.loads((run_dir / STATE_FILE).read_text())
    except FileNotFoundError:
        return None
    supervisor = state["supervisor"]
    try:
        # A process id is given out again: the start time tells the two apart.
        state["alive"] = psutil.Process(supervisor["pid"]).create_time() == supervisor["created"]
    except psutil.Error:
        state["alive"] = False
    return state


def live_state(run_dir: Path) -> dict[str, Any] | None:
    """The state of the stack of `run_dir`; None where nothing is up."""
    state = read_state(run_dir)
    return state if state is not None and state["alive"] else None


def stop(run_dir: Path, patience_s: float = 60.0) -> bool:
    """End the stack of `run_dir` in order, from another process; whether one was up.

    Raises:
        SupervisorError: it did not end in `patience_s` seconds.
    """
    state = live_state(run_dir)
    if state is None:
        return False
    pid = state["supervisor"]["pid"]
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while _lives(pid):
        if time.monotonic() > deadline:
            raise SupervisorError(
                f"process {pid} did not stop within {patience_s:.0f} s; see its logs"
            )
        time.sleep(0.1)
    return True


def _lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
