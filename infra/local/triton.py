"""The Triton server on this machine: its own binary and Python backend, run as an ordinary process.

It loads one model from a repository folder, which it only reads, and listens on 127.0.0.1 only. The
model runs in the environment of the calling Python, where `make env` has put the project's rooms by
reference. Settings reach the model as environment variables, which are passed through.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import tritonclient.grpc

from infra.local.errors import LocalError
from infra.local.ports import HOST
from infra.local.process import ProcessSpec

ASK_TIMEOUT_S = 1.0
SHARED_MEMORY = Path("/dev/shm")
LIBRARY_FOLDER = "libpython"


@dataclass(frozen=True)
class Triton:
    """One server. home: the folder that `fetch.ensure_all` calls triton.

    work_dir: the server's working folder. http_port: None leaves HTTP off; ours speak gRPC.
    """

    home: Path
    model_repository: Path
    work_dir: Path
    grpc_port: int
    metrics_port: int
    http_port: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    model: str = "listune"

    @property
    def url(self) -> str:
        """What a gRPC client is given."""
        return f"{HOST}:{self.grpc_port}"

    def spec(self, name: str = "triton") -> ProcessSpec:
        """How the supervisor runs it. Raises LocalError if Python's shared library is missing."""
        ports = {"grpc": self.grpc_port, "metrics": self.metrics_port}
        return ProcessSpec(
            name=name,
            command=self._command(),
            env={**self._environment(), **self.env},
            cwd=self.work_dir,
            prepare=self.prepare,
            ready=self.ready,
            ready_timeout_s=300.0,  # the first start reads torch from a cold disk
            stop_grace_s=20.0,
            ports=ports if self.http_port is None else ports | {"http": self.http_port},
        )

    def ready(self) -> bool:
        """Whether the model answers."""
        client = tritonclient.grpc.InferenceServerClient(self.url)
        try:
            return bool(client.is_model_ready(self.model, client_timeout=ASK_TIMEOUT_S))
        finally:
            client.close()

    def prepare(self) -> None:
        """Make the working folder; remove shared memory left by a killed server on this port."""
        self.work_dir.mkdir(parents=True, exist_ok=True)
        for region in SHARED_MEMORY.glob(f"{self._region_prefix}*"):
            region.unlink(missing_ok=True)

    @property
    def _region_prefix(self) -> str:
        return f"listune-{os.getuid()}-{self.grpc_port}-"

    def _command(self) -> tuple[str, ...]:
        server = self.home / "pytriton" / "tritonserver"
        http = (
            ("--allow-http=false",)
            if self.http_port is None
            else (f"--http-address={HOST}", f"--http-port={self.http_port}")
        )
        return (
            str(server / "bin" / "tritonserver"),
            f"--backend-directory={server / 'backends'}",
            f"--model-repository={self.model_repository.absolute()}",
            "--model-control-mode=explicit",
            f"--load-model={self.model}",
            # config.pbtxt is complete; completing it would start the model once more.
            "--disable-auto-complete-config",
            f"--backend-config=python,shm-region-prefix-name={self._region_prefix}",
            f"--grpc-address={HOST}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-address={HOST}",
            f"--metrics-port={self.metrics_port}",
            "--allow-gpu-metrics=false",
            "--exit-timeout-secs=10",
            # Its tables of settings would bury the reason why a model did not load.
            "--log-info=false",
            *http,
        )

    def _environment(self) -> dict[str, str]:
        libraries = [str(python_library_dir(self.home)), str(self.home / "nvidia_pytriton.libs")]
        return {
            "LD_LIBRARY_PATH": _joined([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]),
            # The stub's Python is isolated, it ignores PYTHONPATH: its environment is the one that
            # the first python3 of the path belongs to.
            "PATH": _joined([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }


def python_library_dir(home: Path) -> Path:
    """The folder of the running Python's shared library, which Triton's Python stub links to.

    Raises LocalError if this Python came without one and `home` has none either.
    """
    name = f"libpython3.{sys.version_info.minor}.so.1.0"
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    known = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib", f"/usr/lib/{multiarch}"]
    for folder in [*known, "/usr/lib64", home / LIBRARY_FOLDER]:
        if folder and (Path(folder) / name).exists():
            return Path(folder)
    raise LocalError(
        f"Triton needs {name}, which this Python lacks: install the package "
        f"libpython3.{sys.version_info.minor} or use a Python built with --enable-shared."
    )


def fetch_python_library(home: Path, work: Path) -> None:
    """Fetch the shared library that Debian and Ubuntu keep apart from Python, without root.

    Leaves `home` as it is if apt does not have it: `python_library_dir` then says what to do.
    """
    minor = sys.version_info.minor
    for package in (f"libpython3.{minor}", f"libpython3.{minor}t64"):
        with suppress(OSError):
            subprocess.run(["apt-get", "download", package], cwd=work, capture_output=True)
        for archive in work.glob(f"{package}_*.deb"):
            unpacked = work / "unpacked"
            subprocess.run(["dpkg", "-x", archive, unpacked], capture_output=True, check=True)
            (home / LIBRARY_FOLDER).mkdir(exist_ok=True)
            for library in unpacked.rglob("libpython*.so.1.0"):
                shutil.copy2(library, home / LIBRARY_FOLDER)


def _joined(paths: list[str]) -> str:
    return os.pathsep.join(dict.fromkeys(path for path in paths if path))
