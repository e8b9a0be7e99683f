"""A tiny random model, loaded once, and engines over it."""

import pytest
import torch

from infra.local.tiny_model import make_tiny_model
from serving.engine import Engine
from serving.model import linear_shapes, load_base
from serving.settings import ServingSettings


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
