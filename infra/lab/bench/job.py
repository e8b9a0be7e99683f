"""An arm's own process: what it runs, how it tells of it, and the memory that it took.

`runner` starts it. What it is to do lies in its folder as a pickled pair of a function and the one
argument for it; what the function returns is written beside it as JSON. Only the function's module
is imported here, so nothing that another arm needs counts in this one's memory.
"""

import json
import os
import pickle
import sys
from pathlib import Path

import psutil

JOB, RESULT = "job.pickle", "result.json"


class NotRun(Exception):
    """This arm cannot run here; the message is the reason, for the reader of the table."""


def main() -> None:
    """Do what lies in the folder that is the only argument."""
    folder = Path(sys.argv[1])
    work, job = pickle.loads((folder / JOB).read_bytes())
    try:
        outcome = work(job)
    except NotRun as reason:
        outcome = {"not_run": str(reason)}
    (folder / RESULT).write_text(json.dumps(outcome))
    sys.stdout.flush()
    os._exit(0)  # a library may wait for its threads without a limit, as Faust does


def say(done: int, of: int, what: str) -> None:
    """Tell the benchmark how far this arm is, as one JSON object a line of standard output."""
    print(json.dumps({"done": done, "of": of, "what": what}), flush=True)


def peak_memory_mb(pid: int | None = None) -> float:
    """The most memory that a process (this one) and its children have had resident at once, in MB.

    Not getrusage: its maximum survives an exec, so a process would inherit its parent's.
    """
    own = psutil.Process(pid)
    return sum(map(_high_water_mb, [own.pid, *(c.pid for c in own.children(recursive=True))]))


def _high_water_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0
