"""The servers and models that tests share, which tests need what `make fetch` brings, and how tests
are dealt out.

A test that uses Kafka, Triton, the base model or the picture encoder takes it from a fixture of
this file, directly or through another fixture. That marks it with `parts`; `make unit` runs the
tests that have neither this mark nor `slow`, which a test of a second or more sets itself. Any
other way to a part is refused to a test without the mark, in every run.
"""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from infra.local import fetch
from infra.local.kafka import Kafka
from infra.local.ports import free_port
from infra.local.settings import LocalSettings
from infra.local.supervisor import Supervisor
from infra.local.tiny_model import make_tiny_model
from infra.local.triton import Triton
from serving.settings import ServingSettings
from tests.serving.tiny_encoder import make_tiny_encoder

REPOSITORY = Path(__file__).parents[1]

PARTS = {"kafka_jars", "triton_home", "base_model", "picture_encoder"}
"""The fixtures below, each of which is a part of what `make fetch` brings."""

WHOLE_STACK = "tests/e2e/"
"""The folder whose tests start the stack by its own commands, which find the parts themselves."""

TOGETHER = ("tests/infra/history/",)
"""Folders whose files share what takes long to set up: one process gets all of them."""


# A run starts hundreds of processes: without bytecode on disk each compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A broker lives for a few tests: what Java's second compiler takes, it does not earn back. Starting
# one costs 4.9 s of a core in place of 8.4.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """Kafka's jars."""
    return fetch.ensure_part(fetch.kafka_part(), LocalSettings().cache_dir)


@pytest.fixture(scope="session")
def triton_home() -> Path:
    """The unpacked Triton server."""
    return fetch.ensure_part(fetch.triton_part(), LocalSettings().cache_dir)


@pytest.fixture(scope="session")
def base_model() -> Path:
    """SmolLM2-135M-Instruct."""
    return fetch.ensure_base_model(LocalSettings().cache_dir)


@pytest.fixture(scope="session")
def picture_encoder() -> Path:
    """EfficientNet-Lite0."""
    return fetch.ensure_encoder(LocalSettings().cache_dir)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random picture encoder."""
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random model with a real tokenizer."""
    return make_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def bootstrap(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker; a test uses topics of its own, or makes them anew."""
    folder = tmp_path_factory.mktemp("kafka")
    port = free_port()
    kafka = Kafka(kafka_jars, folder / "data", port, free_port([port]), heap="256m")
    with Supervisor([kafka.spec()], folder / "run"):
        yield kafka.bootstrap


@pytest.fixture(scope="session")
def triton(
    triton_home: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServingSettings, Supervisor]]:
    """A Triton that serves the tiny model, compiled if it can be: settings and supervisor."""
    folder = tmp_path_factory.mktemp("triton")
    port = free_port()
    settings = ServingSettings(
        base_model=str(tiny_base),
        dtype="float32",
        decoder="openvino" if find_spec("openvino") else "torch",
        device="cpu",
        threads=1,
        adapter_store=folder / "store",
        triton_url=f"127.0.0.1:{port}",
    )
    server = Triton(
        home=triton_home,
        model_repository=REPOSITORY / "serving" / "model_repository",
        work_dir=folder / "triton",
        grpc_port=port,
        metrics_port=free_port([port]),
        env={"LISTUNE_SERVING": settings.model_dump_json()},
    )
    with Supervisor([server.spec()], folder / "run") as supervisor:
        supervisor.wait_ready("triton")
        yield settings, supervisor


# The garbage collector need not look at what importing made: PyTorch and its like are a million
# objects, which are there for good, and a quarter of a second at each full collection.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    if torch := sys.modules.get("torch"):
        # The models here are so small that a second thread costs more than it helps.
        torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    dear: Counter[str] = Counter()
    for item in items:
        whole_stack = item.nodeid.startswith(WHOLE_STACK)
        if whole_stack or PARTS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.parts)
        if item.get_closest_marker("parts") or item.get_closest_marker("slow"):
            dear[dealt_with(item.nodeid)] += 20 if whole_stack else 1
    # What takes long comes first, so that no process is left alone with it at the end.
    items.sort(key=lambda item: -dear[dealt_with(item.nodeid)])


def dealt_with(test: str) -> str:
    """What of a test's id is the same for all tests that one process gets: a folder or a file."""
    return next((one for one in TOGETHER if test.startswith(one)), test.partition("::")[0])


class Dealing(LoadScopeScheduling):
    """Each process gets whole files, in the order of the collection: they share what they start."""

    def _split_scope(self, nodeid: str) -> str:
        return dealt_with(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealing:
    config.option.loadscopereorder = False
    return Dealing(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Refuses the parts to a test without the mark, and to the processes that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("parts") is None:
            patch.setattr(fetch, "ensure", _refuse)
            patch.setenv("LISTUNE_LOCAL__CACHE_DIR", os.devnull)
        return (yield)


def _refuse(part: fetch.Part, *_: object, **__: object) -> Path:
    raise AssertionError(
        f"This test asks for {part.label}: take it from one of the fixtures {sorted(PARTS)}."
    )
