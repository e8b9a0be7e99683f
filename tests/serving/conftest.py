"""A tiny random model, loaded once, engines over it, and one real Triton that serves it."""

from pathlib import Path

import pytest
import torch

from infra.local.ports import free_port
from infra.local.supervisor import Supervisor
from infra.local.tiny_model import make_tiny_model
from infra.local.triton import Triton
from serving.engine.engine import Engine
from serving.engine.model import linear_shapes, load_base
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from tests.serving.helpers import adapter_blob

MODELS = Path(__file__).resolve().parents[2] / "serving" / "model_repository"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    # The models are tiny: a second thread costs more than it helps.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of the tiny base model."""
    return make_tiny_model(tmp_path_factory.mktemp("base"), seed=0)


@pytest.fixture(scope="session")
def base(tiny):
    """The tiny base model in fp32."""
    return load_base(ServingSettings(dtype="float32", device="cpu"), tiny)


@pytest.fixture(scope="session")
def shapes(base):
    """The linear modules of the tiny base."""
    return linear_shapes(base.model)


@pytest.fixture
def settings(tmp_path):
    """Settings for an engine of this test's own."""
    return ServingSettings(
        dtype="float32", device="cpu", threads=1, adapter_store=tmp_path / "store"
    )


@pytest.fixture
def engine(settings, tiny):
    """An engine over the tiny base."""
    with Engine(settings, tiny) as engine:
        yield engine


@pytest.fixture(scope="session")
def server(triton_home, tmp_path_factory, tiny):
    """A running Triton: its settings and its supervisor."""
    settings, supervisor = _stack(triton_home, tmp_path_factory.mktemp("triton"), tiny)
    with supervisor:
        supervisor.wait_ready("triton")
        yield settings, supervisor


@pytest.fixture
def client(server):
    """A client of the running Triton."""
    with TritonClient(server[0]) as client:
        yield client


@pytest.fixture
def make_blob(client, shapes):
    """Makes adapters for the model that Triton serves."""
    return lambda adapter_id, **more: adapter_blob(
        shapes, client.status().base_hash, adapter_id, **more
    )


def _stack(home, folder, tiny):
    """Settings, and a supervisor for one Triton that serves the tiny model."""
    port = free_port()
    settings = ServingSettings(
        base_model=str(tiny),
        dtype="float32",
        device="cpu",
        threads=1,
        adapter_store=folder / "store",
        triton_url=f"127.0.0.1:{port}",
    )
    triton = Triton(
        home=home,
        model_repository=MODELS,
        work_dir=folder / "triton",
        grpc_port=port,
        metrics_port=free_port(),
        env={"LISTUNE_SERVING": settings.model_dump_json()},
    )
    return settings, Supervisor([triton.spec()], folder / "run")
