"""The supervisor restarts what dies, gives up in one sentence, and leaves nobody behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.errors import SupervisorError
from infra.local.process import ProcessSpec
from infra.local.state import read_state
from infra.local.supervisor import Supervisor
from streams.errors import REFUSED_CODE
from tests.infra.local_parts import SLEEP, family, lives, pid, python, sleeper
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[3]


def test_processes_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    code = """
        import signal, sys, time
        diary, name = open(sys.argv[1], "a"), sys.argv[2]
        def note(what): print(name, what, file=diary, flush=True)
        signal.signal(signal.SIGTERM, lambda *_: (note("stops"), sys.exit()))
        time.sleep(0.3)
        note("starts")
        time.sleep(300)
    """
    diary = tmp_path / "diary"

    def started(name: str) -> bool:
        return diary.exists() and f"{name} starts" in diary.read_text()

    def spec(name: str, *needs: str) -> ProcessSpec:
        return ProcessSpec(
            name, python(code, diary, name), ready=lambda: started(name), needs=needs
        )

    with Supervisor([spec("app", "broker"), spec("broker")], tmp_path / "run") as stack:
        assert stack.status() == {"app": "ready", "broker": "ready"}

    assert diary.read_text().splitlines() == [
        "broker starts",
        "app starts",
        "app stops",
        "broker stops",
    ]
    assert stack.status() == {"app": "stopped", "broker": "stopped"}


def test_a_dead_process_is_started_again(tmp_path: Path) -> None:
    with Supervisor([sleeper("one"), sleeper("two")], tmp_path) as stack:
        before, other = stack.pid("one"), stack.pid("two")
        stack.kill("one")
        wait_for(lambda: stack.restarts("one") == 1)
        stack.wait_ready("one")

        wait_for(lambda: stack.pid("one") not in (before, None))
        assert stack.pid("two") == other
        assert stack.restarts("two") == 0


def test_a_process_is_ended_in_order_and_started_again_on_request(tmp_path: Path) -> None:
    code = """
        import signal, sys, time
        diary = open(sys.argv[1], "a")
        def end(*_): print("ended", file=diary, flush=True); sys.exit()
        signal.signal(signal.SIGTERM, end)
        print("started", file=diary, flush=True)
        time.sleep(300)
    """
    diary = tmp_path / "diary"

    def starts() -> int:
        return diary.read_text().count("started") if diary.exists() else 0

    spec = ProcessSpec("one", python(code, diary), ready=lambda: starts() > 0)
    with Supervisor([spec], tmp_path / "run") as stack:
        stack.restart("one")
        wait_for(lambda: starts() == 2)
        assert diary.read_text().split() == ["started", "ended", "started"]
        assert stack.restarts("one") == 1


def test_a_process_whose_reaper_is_killed_is_started_again_without_a_survivor(
    tmp_path: Path,
) -> None:
    with Supervisor([family(tmp_path)], tmp_path / "run") as stack:
        child, grandchild = pid(tmp_path, "child"), pid(tmp_path, "grandchild")
        reaper = stack._all["family"].process
        assert reaper is not None
        os.kill(reaper.pid, signal.SIGKILL)

        wait_for(lambda: stack.restarts("family") == 1)
        wait_for(lambda: not lives(child) and not lives(grandchild))


def test_what_dies_too_often_is_given_up_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.supervisor.FIRST_PAUSE_S", 0.01)
    spec = ProcessSpec("app", python("print('no such table'); raise SystemExit(3)"))
    never = ProcessSpec("never", spec.command, needs=("app",))
    ready_at_once = ProcessSpec("app", spec.command, ready=lambda: False)

    with (
        pytest.raises(SupervisorError, match=r"app died 5 times, last with exit code 3") as caught,
        Supervisor([ready_at_once, never], tmp_path),
    ):
        pass

    assert "no such table" in str(caught.value)
    assert str(tmp_path / "logs" / "app.log") in str(caught.value)
    assert not (tmp_path / "logs" / "never.log").exists()


def test_what_says_that_it_cannot_work_is_not_started_again(tmp_path: Path) -> None:
    code = f"print('another cluster'); raise SystemExit({REFUSED_CODE})"
    spec = ProcessSpec("curate", python(code), ready=lambda: False)
    with (
        pytest.raises(SupervisorError, match="curate says that starting it again cannot help"),
        Supervisor([spec], tmp_path),
    ):
        pass


def test_what_never_gets_ready_ends_the_start(tmp_path: Path) -> None:
    spec = sleeper("slow", ready=lambda: False, ready_timeout_s=0.3)
    with (
        pytest.raises(SupervisorError, match="slow was not ready within 0 s"),
        Supervisor([spec], tmp_path) as stack,
    ):
        stack.check()


def test_a_command_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.local.supervisor.FIRST_PAUSE_S", 0.01)
    spec = ProcessSpec("ghost", ("/no/such/program",), ready=lambda: False)
    with (
        pytest.raises(SupervisorError, match="cannot start /no/such/program"),
        Supervisor([spec], tmp_path),
    ):
        pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_fails_stops_the_stack_instead_of_leaving_it_alone(tmp_path: Path) -> None:
    def listen(name: str, state: str) -> None:
        raise OSError("no space left")

    with (
        pytest.raises(SupervisorError, match=r"one cannot be started \(no space left\)"),
        Supervisor([sleeper("one")], tmp_path, on_change=listen),
    ):
        pass


def test_a_need_that_nobody_meets_is_named(tmp_path: Path) -> None:
    with pytest.raises(SupervisorError, match="Nothing here is called broker"):
        Supervisor([sleeper("app", needs=("broker",))], tmp_path)


def test_an_exception_in_the_block_stops_children_and_grandchildren(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Supervisor([family(tmp_path)], tmp_path / "run"):
        raise ZeroDivisionError
    assert not lives(pid(tmp_path, "child"))
    assert not lives(pid(tmp_path, "grandchild"))


def test_a_process_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); {SLEEP}"
    log = tmp_path / "logs" / "deaf.log"
    spec = ProcessSpec(
        "deaf",
        ("env", "PYTHONUNBUFFERED=1", *python(code)[:1], "-c", code),
        ready=lambda: log.stat().st_size > 0,
        stop_grace_s=0.3,
    )
    with Supervisor([spec], tmp_path) as stack:
        process = stack.pid("deaf")
        assert process is not None
    assert not lives(process)


def test_the_state_file_tells_pids_ports_logs_and_restarts(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    with Supervisor([sleeper("one", ports={"http": 8000})], tmp_path) as stack:
        stack.kill("one")
        wait_for(lambda: stack.restarts("one") == 1)
        # Until the file has been written anew it tells of the process that is gone.
        wait_for(lambda: _all_ready(tmp_path) and _pid(tmp_path, "one") == stack.pid("one"))
        state = read_state(tmp_path)

        assert state is not None
        assert state["alive"]
        one = state["processes"]["one"]
        assert one["state"] == "ready"
        assert one["pid"] == stack.pid("one")
        assert one["restarts"] == 1
        assert one["ports"] == {"http": 8000}
        assert one["log"] == str(tmp_path / "logs" / "one.log")


def _pid(folder: Path, name: str) -> int | None:
    state = read_state(folder)
    return state["processes"][name]["pid"] if state else None


SUPERVISE = """
import signal
import sys
from pathlib import Path
from infra.local.supervisor import Supervisor
from tests.infra.local_parts import family
folder = Path(sys.argv[1])
for name in ("a", "b"):
    (folder / name).mkdir()
specs = [family(folder / "a", "a"), family(folder / "b", "b", grandchild_session=True)]
# A shell's background job, and so a test run in one, starts its processes deaf to it.
signal.signal(signal.SIGINT, signal.default_int_handler)
Supervisor(specs, folder / "run").run()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_supervisor_that_is_ended_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(tmp_path)],
        cwd=REPOSITORY,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    ids = [(tmp_path / a, b) for a in ("a", "b") for b in ("child", "grandchild")]

    def running() -> bool:
        return all(pid(*where) for where in ids) and _all_ready(tmp_path / "run")

    try:
        wait_for(running)
    finally:
        supervisor.send_signal(number)
        supervisor.wait(20)

    wait_for(lambda: not any(lives(pid(*where)) for where in ids))
    state = read_state(tmp_path / "run")
    assert state is not None
    assert not state["alive"]


def _all_ready(run_dir: Path) -> bool:
    state = read_state(run_dir)
    return state is not None and all(
        process["state"] == "ready" for process in state["processes"].values()
    )
