"""What the tests of the local stack share: small commands, and a look for survivors."""

import sys
import textwrap
from pathlib import Path

import psutil

from infra.local.process import ProcessSpec

SLEEP = "import time; time.sleep(300)"


def python(code: str, *arguments: object) -> tuple[str, ...]:
    """A command that runs the code in a bare Python."""
    return (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *map(str, arguments))


def sleeper(name: str, **more: object) -> ProcessSpec:
    """A process that does nothing for long."""
    return ProcessSpec(name, python(SLEEP), **more)  # type: ignore[arg-type]


def family(folder: Path, name: str = "family", *, grandchild_session: bool = False) -> ProcessSpec:
    """A process with a child of its own; both write their process ids into the folder."""
    code = f"""
        import os, subprocess, sys, time
        from pathlib import Path
        folder = Path(sys.argv[1])
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", {SLEEP!r}], start_new_session={grandchild_session}
        )
        (folder / "grandchild").write_text(str(child.pid))
        (folder / "child").write_text(str(os.getpid()))
        time.sleep(300)
    """
    return ProcessSpec(name, python(code, folder), ready=lambda: pid(folder, "child") > 0)


def pid(folder: Path, name: str) -> int:
    """The process id that was written, 0 if none was yet."""
    path = folder / name
    return int(path.read_text() or 0) if path.exists() else 0


def lives(process: int) -> bool:
    """Whether the process runs; one that has ended but was not yet collected does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
