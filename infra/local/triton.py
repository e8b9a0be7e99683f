"""The Triton server on this machine: its own binary and Python backend, run as an ordinary process.

It loads one model from a repository folder, which it only reads, and listens on 127.0.0.1 only. The
model runs in the environment of the calling Python: the repository's rooms and site-packages are on
its path. Settings reach the model as environment variables, which are passed through.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tritonclient.grpc

from infra.local.errors import LocalError
from infra.local.ports import HOST
from infra.local.process import ProcessSpec

REPOSITORY = Path(__file__).resolve().parents[2]
ASK_TIMEOUT_S = 1.0
SHARED_MEMORY = Path("/dev/shm")


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
        libraries = [str(python_library_dir()), str(self.home / "nvidia_pytriton.libs")]
        modules = [str(REPOSITORY), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        return {
            "LD_LIBRARY_PATH": _joined([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]),
            "PYTHONPATH": _joined([*modules, os.environ.get("PYTHONPATH", "")]),
            # The embedded Python looks for its home beside the first python3 of the path.
            "PATH": _joined([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }


def python_library_dir() -> Path:
    """The folder of the running Python's shared library, which Triton's Python stub links to.

    Raises LocalError if this Python came without one.
    """
    name = f"libpython3.{sys.version_info.minor}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib"]
    folders += [Path("/usr/lib") / (sysconfig.get_config_var("MULTIARCH") or ""), "/usr/lib64"]
    for folder in folders:
        if folder and (Path(folder) / name).exists():
            return Path(folder)
    raise LocalError(
        f"Triton needs {name}, which this Python lacks: install the package "
        f"libpython3.{sys.version_info.minor} or use a Python built with --enable-shared."
    )


def _joined(paths: list[str]) -> str:
    return os.pathsep.join(dict.fromkeys(path for path in paths if path))
