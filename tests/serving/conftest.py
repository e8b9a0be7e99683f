"""The tiny model loaded once, engines over it, and a client of the Triton that serves it."""

import pytest
import torch

from serving.engine.decoder import Decoder
from serving.engine.engine import Engine
from serving.engine.lora import load_lora
from serving.engine.merged_decoders import MergedDecoders
from serving.engine.model import linear_shapes, load_base, merge
from serving.engine.torch_backend import TorchBackend
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from tests.serving.helpers import adapter_blob


@pytest.fixture(scope="session")
def base(tiny_base):
    """The tiny base model in fp32."""
    return load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)


@pytest.fixture(scope="session")
def shapes(base):
    """The linear modules of the tiny base."""
    return linear_shapes(base.model)


@pytest.fixture(scope="session", params=["torch", "openvino"])
def decoder(request):
    """The name of each decoder that can be had here, one after the other."""
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    return request.param


@pytest.fixture(scope="session")
def backend_of(decoder):
    """Makes the decoder's backend over a base, with little room at first."""

    def made(base):
        if decoder == "torch":
            return TorchBackend(base.decoder, first=4)
        from serving.engine.openvino.backend import OpenVinoBackend

        return OpenVinoBackend(base.model, first=4)

    return made


@pytest.fixture(scope="session")
def merging(decoder):
    """Makes the decoder's backend over a base, with an adapter merged in."""

    def made(base, adapter):
        if decoder == "torch":
            merged = MergedDecoders(lambda _: Decoder(merge(base.model, adapter)), 1)
            backend = TorchBackend(base.decoder, merged)
        else:
            from serving.engine.openvino.backend import OpenVinoBackend

            shapes = linear_shapes(base.model)
            lora = load_lora(adapter, shapes, None, torch.float32, base.device)
            backend = OpenVinoBackend(base.model, lora=lambda _: lora, max_merged=1)
        backend.merged._keep(adapter.hash)
        assert backend.merged.choose({adapter.hash}), "it is in use"
        return backend

    return made


@pytest.fixture(scope="session")
def backend(backend_of, base):
    """Passes over the tiny base by each decoder."""
    return backend_of(base)


@pytest.fixture
def settings(tmp_path, decoder):
    """Settings for an engine of this test's own, with each decoder."""
    return ServingSettings(
        dtype="float32",
        decoder=decoder,
        device="cpu",
        threads=1,
        adapter_store=tmp_path / "store",
    )


@pytest.fixture
def engine(settings, tiny_base):
    """An engine over the tiny base."""
    with Engine(settings, tiny_base) as engine:
        yield engine


@pytest.fixture
def client(triton):
    """A client of the running Triton."""
    with TritonClient(triton[0]) as client:
        yield client


@pytest.fixture
def make_blob(client, shapes):
    """Makes adapters for the model that Triton serves."""
    return lambda adapter_id, **more: adapter_blob(
        shapes, client.status().base_hash, adapter_id, **more
    )
