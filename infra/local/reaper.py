"""Runs one command so that nothing of it outlives the supervisor: `reaper.py FD command...`.

The supervisor holds the other end of a pipe whose reading end is FD. When the supervisor ends,
even by SIGKILL, the pipe reads as closed, and the command and all that descends from it are ended.
Unlike a parent-death signal this reaches grandchildren such as Triton's stub, and does not depend
on which thread started the process. Descendants that leave the process group stay ours, because
this process is their subreaper. If it is killed itself, the command gets a parent-death signal.

Started by its path with Python's standard library only, so that it costs a few milliseconds.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ORPHAN_GRACE_S = 3.0
"""How long the command has to end by itself after the supervisor is gone."""


def main(argv: list[str]) -> int:
    """Run argv[2:] until it ends or the pipe argv[1] is closed; return its exit code."""
    lifeline = int(argv[1])
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(
            argv[2:], preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        )
    except OSError as error:
        print(f"cannot start {argv[2]}: {error}", file=sys.stderr)
        return 127
    # The supervisor asks this process to stop; the command is asked in turn, its children are not:
    # a server that drains its requests still needs its workers.
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _ended_first(child.pid, lifeline):
        code = child.wait()
    else:
        child.terminate()
        try:
            code = child.wait(ORPHAN_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
    _kill_descendants()
    return code if code >= 0 else 128 - code


def _ended_first(pid: int, lifeline: int) -> bool:
    ended = os.pidfd_open(pid)
    ready, _, _ = select.select([ended, lifeline], [], [])
    os.close(ended)
    return ended in ready


def _kill_descendants() -> None:
    # What is killed hands its children to this subreaper: look again until nobody is left, not even
    # one that waits to be collected, for not every machine's first process does that.
    while pids := _children(os.getpid()):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children(parent: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The command in parentheses may hold spaces; state and parent come after it.
            ppid = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended
        if int(ppid) == parent:
            found.append(int(process.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv))
