"""The backend of an engine: what its settings ask for, of the base that it has loaded."""

import logging
from pathlib import Path

import torch
from transformers import AutoConfig

from serving.engine.adapter_store import AdapterStore
from serving.engine.backend import AnyBackend
from serving.engine.decoder_check import check
from serving.engine.decoders import DecoderName, choose_decoder, refusal
from serving.engine.merged_decoders import MergedDecoders
from serving.engine.model import Base, place_of, resolve_base
from serving.engine.openvino.support import Unsuited
from serving.engine.passing_thread import in_passing
from serving.engine.torch_backend import TorchBackend
from serving.errors import ModelRefused
from serving.process.files import write_file
from serving.process.memory import give_back
from serving.settings import ServingSettings

logger = logging.getLogger(__name__)


def decided(settings: ServingSettings, kept: Path) -> ServingSettings:
    """`settings` with the decoder that is taken here: for whoever keeps answers.

    Two decoders round otherwise, so in bf16 they answer otherwise here and there. What `auto` takes
    is written to the file `kept`: measured again, for the same work, it might come out otherwise.

    Raises:
        ModelRefused: there is no such base, or `openvino` is asked for and cannot be had.
    """
    if settings.decoder != "auto":
        return settings
    if kept.exists():
        return settings.model_copy(update={"decoder": kept.read_text()})
    config = AutoConfig.from_pretrained(resolve_base(settings.base_model))

    def chosen() -> DecoderName:
        device, dtype = place_of(config, settings)
        return choose_decoder(settings.decoder, config, dtype, device)

    decoder = in_passing(chosen)
    write_file(kept, decoder.encode())
    return settings.model_copy(update={"decoder": decoder})


def make_backend(base: Base, settings: ServingSettings, store: AdapterStore) -> AnyBackend:
    """What `settings.decoder` asks for, compared with the model.

    The compiled decoder lets go of the weights of the base's layers: `base.model` generates no
    more. PyTorch's merges adapters out of `store`.

    Raises:
        ModelRefused: the base is not built like Llama, Qwen or SmolLM; or the compiled decoder is
            asked for by name and cannot be had.
    """
    chosen = choose_decoder(settings.decoder, base.model.config, base.dtype, base.device)
    if chosen == "openvino":
        try:
            return _compiled(base, settings.adapter_store)
        except (Unsuited, ModelRefused) as error:
            if settings.decoder == "openvino":
                raise refusal(error) from None
            logger.warning("decoder torch, and not OpenVINO: %s", error)
    merged = MergedDecoders(base, store, settings.max_merged)
    return TorchBackend(base.decoder, merged, kernels=base.kernels)


def _compiled(base: Base, folder: Path) -> AnyBackend:
    from serving.engine.openvino.backend import OpenVinoBackend

    backend = OpenVinoBackend(base.model, folder)
    check(backend, base.model, base.sample)
    backend.let_go()
    let_go(base)
    give_back()
    return backend


def let_go(base: Base) -> None:
    """Give back the memory of the layers' projections; their shapes stay."""
    for module in base.model.get_decoder().layers.modules():
        if isinstance(module, torch.nn.Linear):
            empty = torch.empty_like(module.weight, device="meta")
            module.weight = torch.nn.Parameter(empty, requires_grad=False)
