"""Makes the project's environment, `.venv`, on a machine that has only Python: `make env` runs it.

Standard library only. uv comes by pip into the environment itself. A stamp inside the environment
holds the hash of what was installed and is written last, so a second run has nothing to do and a
half-finished installation is done again. `bootstrap.py bench` adds what the serving benchmark
compares with, `bootstrap.py trl` makes a second environment, `.venv-trl`, for what the training
benchmark does; nothing else needs either.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENTS = REPOSITORY / "requirements.txt"
PROJECT = REPOSITORY / "pyproject.toml"
BENCH_REQUIREMENTS = REPOSITORY / "requirements-bench.txt"
TRL_REQUIREMENTS = REPOSITORY / "requirements-trl.txt"
ENVIRONMENT = REPOSITORY / ".venv"
TRL_ENVIRONMENT = REPOSITORY / ".venv-trl"
STAMP = ENVIRONMENT / "listune-installed"
BENCH_STAMP = ENVIRONMENT / "listune-bench-installed"
TRL_STAMP = TRL_ENVIRONMENT / "listune-installed"
SUPPORTED = ((3, 11), (3, 12))
ROOM_MB = 9_000
"""What an installation writes, torch's own CUDA libraries being most of it."""


def main() -> None:
    """Make the environment if it is not there, whole and of this Python's version."""
    wanted = _wanted()
    if STAMP.exists() and STAMP.read_text() == wanted and _runs():
        return
    _check_machine()
    STAMP.unlink(missing_ok=True)
    if not _runs():
        _make()
    python = _python()
    print("Installing the environment: about 6 GB, a few minutes the first time.", flush=True)
    _run("pip could not install uv", python, "-m", "pip", "install", "--quiet", "uv")
    install = _uv_install()
    _run("uv could not install the requirements", *install, "-r", str(REQUIREMENTS))
    # The rooms go in by reference: `listune` is a command, and Triton's isolated Python finds them.
    rooms = (*install, "--no-deps", "--no-build-isolation", "--editable", str(REPOSITORY))
    _run("uv could not install the project itself", *rooms)
    STAMP.write_text(wanted)


def add_bench() -> None:
    """Add the benchmarks' peers to the environment, if they are not there as pinned."""
    wanted = hashlib.sha256(BENCH_REQUIREMENTS.read_bytes()).hexdigest() + "\n"
    if BENCH_STAMP.exists() and BENCH_STAMP.read_text() == wanted:
        return
    print("Installing what the benchmarks compare with: about 200 MB.", flush=True)
    install = _uv_install()
    _run("uv could not install the benchmarks' peers", *install, "-r", str(BENCH_REQUIREMENTS))
    BENCH_STAMP.write_text(wanted)


def make_trl() -> None:
    """Make TRL's own environment, if it is not there as pinned.

    TRL needs pyarrow, which needs NumPy 2, where our Triton needs NumPy 1. The large packages are
    of our own versions: uv links them from its cache, which is quick and takes no room.
    """
    wanted = hashlib.sha256(TRL_REQUIREMENTS.read_bytes()).hexdigest() + "\n"
    if TRL_STAMP.exists() and TRL_STAMP.read_text() == wanted:
        return
    print("Making .venv-trl, with TRL to compare with: seconds to minutes.", flush=True)
    python = str(TRL_ENVIRONMENT / "bin" / "python")
    uv, *install = _uv_install(python)
    _run(
        "uv could not make .venv-trl", uv, "venv", "--clear", "--python", _python(),
        str(TRL_ENVIRONMENT),
    )  # fmt: skip
    _run("uv could not install TRL", uv, *install, "-r", str(TRL_REQUIREMENTS))
    TRL_STAMP.write_text(wanted)


def _uv_install(into: str = "") -> tuple[str, ...]:
    """The beginning of a command that installs into the environment, or that of Python `into`."""
    # uv trusts its own list of authorities; pip, and whoever set this machine up, the system's.
    os.environ.setdefault("UV_SYSTEM_CERTS", "true")
    # Some packages take longer on a slow line than uv waits by itself.
    os.environ.setdefault("UV_HTTP_TIMEOUT", "300")
    if index := _pip_index(_python()):
        os.environ.setdefault("UV_DEFAULT_INDEX", index)
    return (str(ENVIRONMENT / "bin" / "uv"), "pip", "install", "--python", into or _python())


def _python() -> str:
    return str(ENVIRONMENT / "bin" / "python")


def _wanted() -> str:
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + PROJECT.read_bytes()).hexdigest()
    return f"{sys.version_info.major}.{sys.version_info.minor} {digest}\n"


def _runs() -> bool:
    """Whether the environment has a Python of this version: its own may have been uninstalled."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    question = f"import pip, sys; sys.exit('{version}' != '%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([ENVIRONMENT / "bin" / "python", "-c", question]).returncode == 0
    except OSError:
        return False


def _check_machine() -> None:
    if sys.version_info[:2] not in SUPPORTED:
        _stop(f"This is Python {platform.python_version()}: install Python 3.11 or 3.12.")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        _stop(
            f"This is {platform.system()} on {platform.machine()}, and the local Triton server is "
            "for Linux on x86-64 only: use such a machine or a container of it."
        )
    if shutil.disk_usage(REPOSITORY).free < ROOM_MB * 1_000_000:
        _stop(f"Less than {ROOM_MB // 1000} GB are free in {REPOSITORY}: free some and try again.")


def _pip_index(python: str) -> str:
    """The package index that pip is configured for: uv does not read pip's settings."""
    command = (python, "-m", "pip", "config", "get", "global.index-url")
    asked = subprocess.run(command, capture_output=True, text=True)
    return os.environ.get("PIP_INDEX_URL", asked.stdout.strip())


def _make() -> None:
    if ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    version = f"3.{sys.version_info.minor}"
    try:
        import ensurepip  # noqa: F401
        import venv

        venv.create(ENVIRONMENT, with_pip=True)
    except (ImportError, subprocess.CalledProcessError):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _stop(f"This Python has no venv: install the package python{version}-venv and try again.")


def _run(failure: str, *command: str) -> None:
    code = subprocess.run(command).returncode
    if code:
        _stop(f"{failure} (see above): check the network and the free space and try again.")


def _stop(sentence: str) -> None:
    sys.exit(f"listune: {sentence}")


if __name__ == "__main__":
    main()
    if sys.argv[1:] == ["bench"]:
        add_bench()
    elif sys.argv[1:] == ["trl"]:
        make_trl()
