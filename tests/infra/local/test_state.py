"""A stack is stopped from another process, by the state that it wrote."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.errors import SupervisorError
from infra.local.state import STATE_FILE, stop


def write_supervisor(run_dir: Path, pid: int) -> None:
    supervisor = {"pid": pid, "created": psutil.Process(pid).create_time()}
    (run_dir / STATE_FILE).write_text(json.dumps({"supervisor": supervisor, "processes": {}}))


def test_the_supervisor_is_asked_to_end_and_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as supervisor:
        write_supervisor(tmp_path, supervisor.pid)
        assert stop(tmp_path)
        assert supervisor.wait() == -signal.SIGTERM
    assert not stop(tmp_path)


def test_where_nothing_was_ever_up_there_is_nothing_to_stop(tmp_path: Path) -> None:
    assert not stop(tmp_path)


def test_a_supervisor_that_does_not_end_is_named(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        write_supervisor(tmp_path, supervisor.pid)
        with pytest.raises(SupervisorError, match=f"process {supervisor.pid} did not stop"):
            stop(tmp_path, patience_s=0.3)
        supervisor.kill()
