"""The state file of a running stack: `run_dir/state.json`, written whole at every change."""

import json
import time
from pathlib import Path
from typing import Any, Literal

import psutil

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
