"""Runs the stack's processes: starts them in order, restarts what dies, leaves nothing behind.

One thread looks after all processes; each is started when the ones it needs are ready, and its
output goes to a log file of its own. What dies is started again after a pause that doubles with
each death; what dies too often, never gets ready, or exits with REFUSED_CODE stops the stack with
one sentence and the last lines of its log. Every command runs under reaper.py, so that nothing is
left even when the supervisor is killed by SIGKILL.

`with Supervisor(specs, run_dir) as stack:` for a program that does something meanwhile, and
`Supervisor(specs, run_dir).run()` for one that only keeps the stack up. What is running is written
to `run_dir/state.json` at every change; `state.read_state(run_dir)` reads it from any process.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from infra.local.errors import SupervisorError
from infra.local.process import ProcessSpec, Running
from infra.local.state import ProcessState, write_state
from streams.errors import REFUSED_CODE

LOOK_INTERVAL_S = 0.1
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
MAX_DEATHS, DEATH_WINDOW_S = 5, 60.0


class Supervisor:
    """Keeps `specs` running until stopped; `run_dir` gets `logs/` and `state.json`.

    on_change: called with name and state whenever a process changes its state, from another thread.
    Raises SupervisorError from `start`, `wait_ready`, `check` and `run`.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        run_dir: Path,
        on_change: Callable[[str, ProcessState], None] | None = None,
    ) -> None:
        unknown = {need for spec in specs for need in spec.needs} - {spec.name for spec in specs}
        if unknown:
            raise SupervisorError(f"Nothing here is called {', '.join(sorted(unknown))}.")
        self.run_dir = run_dir
        self._all = {spec.name: Running(spec, self._log(spec.name)) for spec in specs}
        self._on_change = on_change
        self._failure: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lifeline: tuple[int, int] | None = None
        self._handlers: dict[int, object] = {}

    def start(self) -> None:
        """Start everything in order and return when all of it is ready."""
        (self.run_dir / "logs").mkdir(parents=True, exist_ok=True)
        self._lifeline = os.pipe()
        self._thread = threading.Thread(target=self._look_after, name="supervisor", daemon=True)
        self._thread.start()
        try:
            for name in self._all:
                self.wait_ready(name)
        except BaseException:
            self.stop()
            raise

    def wait_ready(self, name: str) -> None:
        """Return when the process is ready; it is started again meanwhile if it dies."""
        while self._all[name].state != "ready":
            self.check()
            if self._stopping.is_set():
                raise SupervisorError(f"{name} was stopped before it was ready.")
            time.sleep(LOOK_INTERVAL_S / 2)

    def check(self) -> None:
        """Raise SupervisorError if the stack has given up."""
        if self._failure:
            raise SupervisorError(self._failure)

    def status(self) -> dict[str, ProcessState]:
        """The state of each process by name."""
        return {name: running.state for name, running in self._all.items()}

    def restarts(self, name: str) -> int:
        """How often the process was started again."""
        return self._all[name].restarts

    def pid(self, name: str) -> int | None:
        """The process id of the command, None while it does not run."""
        return self._all[name].main_pid()

    def kill(self, name: str) -> None:
        """SIGKILL the process, as a crash would; it is then started again."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def restart(self, name: str) -> None:
        """End the process in order, and return when it is up again."""
        running = self._all[name]
        before = running.restarts
        running.ask_to_end()
        running.wait_for_end()
        if running.alive():
            self.kill(name)
        while running.restarts == before:
            self.check()
            time.sleep(LOOK_INTERVAL_S / 2)
        self.wait_ready(name)

    def stop(self) -> None:
        """End all processes, those that others need last; a second Ctrl-C ends them at once."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        try:
            self._stop_in_turn()
        finally:
            for running in self._all.values():
                running.kill_group()
            if self._lifeline:
                for end in self._lifeline:
                    os.close(end)
                self._lifeline = None

    def run(self) -> None:
        """Start, keep up until Ctrl-C or SIGTERM, stop. Raises SupervisorError if it gives up."""
        with self:
            while True:
                self.check()
                time.sleep(LOOK_INTERVAL_S)

    def __enter__(self) -> "Supervisor":
        self._handlers = _exit_on_signals()
        try:
            self.start()
        except BaseException:
            _restore(self._handlers)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            _restore(self._handlers)

    def _log(self, name: str) -> Path:
        return self.run_dir / "logs" / f"{name}.log"

    # The supervisor's own thread.

    def _look_after(self) -> None:
        while not self._stopping.is_set() and self._failure is None:
            for running in self._all.values():
                try:
                    self._advance(running)
                except Exception as error:  # a prepare step that failed, a command not there
                    self._give_up(running, f"cannot be started ({error})")
                if self._stopping.is_set() or self._failure:
                    break
            self._stopping.wait(LOOK_INTERVAL_S)

    def _advance(self, running: Running) -> None:
        spec, now = running.spec, time.monotonic()
        if running.state in ("waiting", "pausing"):
            needed = all(self._all[need].state == "ready" for need in spec.needs)
            if needed and now >= running.resume_at:
                self._launch(running)
        elif not running.alive():
            self._died(running, now)
        elif running.state == "starting":
            if spec.ready is None or _answers(spec.ready):
                running.was_ready, running.ready_since = True, time.time()
                self._set(running, "ready")
            elif now - running.started > spec.ready_timeout_s:
                self._not_ready(running)

    def _launch(self, running: Running) -> None:
        spec = running.spec
        if spec.prepare:
            spec.prepare()
        assert self._lifeline is not None
        running.launch(self._lifeline[0])
        running.started, running.ready_since = time.monotonic(), None
        running.restarts += bool(running.deaths)
        self._set(running, "starting")

    def _died(self, running: Running, now: float) -> None:
        running.kill_group()  # if it was the reaper that died
        code = running.process.returncode if running.process else None
        running.deaths.append(now)
        recent = [death for death in running.deaths if now - death < DEATH_WINDOW_S]
        # One that takes long to start and never gets ready would die for ever.
        count = len(recent) if running.was_ready else len(running.deaths)
        if code == REFUSED_CODE:
            self._give_up(running, "says that starting it again cannot help")
        elif count >= MAX_DEATHS:
            self._give_up(running, f"died {count} times, last with exit code {code}")
        else:
            running.resume_at = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (len(recent) - 1))
            self._set(running, "pausing")

    def _not_ready(self, running: Running) -> None:
        if not running.was_ready:
            limit = running.spec.ready_timeout_s
            self._give_up(running, f"was not ready within {limit:.0f} s")
        running.kill_group()  # was ready once: count it as a death and start it again

    def _give_up(self, running: Running, reason: str) -> None:
        self._failure = (
            f"{running.spec.name} {reason}; see {running.log}, which ends in:\n{_tail(running.log)}"
        )
        self._set(running, "failed")  # last: a full disk fails here, and is then known already

    def _set(self, running: Running, state: ProcessState) -> None:
        running.state = state
        self._write_state()
        if self._on_change:
            self._on_change(running.spec.name, state)

    def _write_state(self) -> None:
        write_state(
            self.run_dir,
            {
                name: {
                    "state": running.state,
                    "pid": running.main_pid(),
                    "restarts": running.restarts,
                    "ready_since": running.ready_since,
                    "ports": dict(running.spec.ports),
                    "log": str(running.log),
                }
                for name, running in self._all.items()
            },
        )

    # Ending.

    def _stop_in_turn(self) -> None:
        while up := [running for running in self._all.values() if running.alive()]:
            needed = {need for running in up for need in running.spec.needs}
            last = [running for running in up if running.spec.name not in needed] or up
            for running in last:
                running.ask_to_end()
            for running in last:
                running.wait_for_end()
                running.kill_group()
        for running in self._all.values():
            if running.state != "failed":
                self._set(running, "stopped")


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except Exception:  # a server that is coming up answers with whatever error its client has
        return False


def _tail(log: Path, lines: int = 12) -> str:
    if not log.exists():
        return "(no output)"
    text = log.read_text(errors="replace").rstrip().splitlines()
    return "\n".join(f"  {line[:300]}" for line in text[-lines:]) or "  (no output)"


def _exit_on_signals() -> dict[int, object]:
    """Make SIGTERM and SIGHUP raise SystemExit, so that `with` blocks end in order."""
    if threading.current_thread() is not threading.main_thread():
        return {}

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    return {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}


def _restore(handlers: dict[int, object]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]
