"""The backend of an engine: what its settings ask for, of the base that it has loaded."""

import logging
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict

from serving.engine.adapter_store import AdapterStore
from serving.engine.backend import AnyBackend
from serving.engine.decoder import Decoder
from serving.engine.decoder_check import check
from serving.engine.decoders import DecoderName, choose_decoder, refusal, untried
from serving.engine.gpu.choice import first_pages, record_all
from serving.engine.lora import Lora, load_lora
from serving.engine.merged_decoders import MergedDecoders
from serving.engine.model import (
    Base,
    device_of,
    linear_shapes,
    merge,
    place_of,
    read_config,
    resolve_base,
)
from serving.engine.openvino.support import Unsuited, check_machine
from serving.engine.passing_thread import in_passing
from serving.engine.torch_backend import TorchBackend
from serving.errors import ModelRefused
from serving.process.files import write_file
from serving.process.memory import give_back
from serving.settings import ServingSettings

logger = logging.getLogger(__name__)


class Taken(BaseModel):
    """What was taken where `auto` was asked for."""

    model_config = ConfigDict(frozen=True)

    asked: dict[str, str]
    decoder: DecoderName
    dtype: Literal["float32", "bfloat16"]


def decided(settings: ServingSettings, kept: Path) -> ServingSettings:
    """`settings` with the number type and the decoder taken here: for whoever keeps answers.

    Another number type answers otherwise here and there, and in bf16 so does another decoder. What
    `auto` takes is written to the file `kept`: measured again, for the same work, it might come out
    otherwise. That is done only where other settings are asked for, or it cannot be had any more.

    Raises:
        ModelRefused: there is no such base that can be served, or `openvino` is asked for and
            cannot be had.
    """
    if "auto" not in (settings.decoder, settings.dtype):
        return settings
    taken = _kept(kept, settings)
    if taken is None:
        config = read_config(resolve_base(settings.base_model))
        taken = in_passing(lambda: _taken(config, settings))
        write_file(kept, taken.model_dump_json().encode())
    return settings.model_copy(update={"decoder": taken.decoder, "dtype": taken.dtype})


def _taken(config: Any, settings: ServingSettings) -> Taken:
    if settings.threads:
        torch.set_num_threads(settings.threads)  # as the engine, which will compute
    device, dtype = place_of(config, settings)
    decoder = choose_decoder(settings.decoder, config, dtype, device)
    name = "float32" if dtype == torch.float32 else "bfloat16"
    return Taken(asked=_asked(settings), decoder=decoder, dtype=name)


def _kept(file: Path, settings: ServingSettings) -> Taken | None:
    """What `file` says was taken; None where it says nothing of these settings and this machine."""
    try:
        taken = Taken.model_validate_json(file.read_text())
        if taken.decoder == "openvino":
            check_machine(device_of(settings))
    except (FileNotFoundError, ValueError, Unsuited):
        return None
    return taken if taken.asked == _asked(settings) else None


def _asked(settings: ServingSettings) -> dict[str, str]:
    return {name: getattr(settings, name) for name in ("base_model", "device", "dtype", "decoder")}


def make_backend(base: Base, settings: ServingSettings, store: AdapterStore) -> AnyBackend:
    """What `settings.decoder` asks for, compared with the model.

    The compiled decoder lets go of the weights of the base's layers: `base.model` generates no
    more. Adapters are merged out of `store`.

    Raises:
        ModelRefused: the base is not built like Llama, Qwen or SmolLM; or the compiled decoder is
            asked for by name and cannot be had.
    """
    chosen = choose_decoder(settings.decoder, base.model.config, base.dtype, base.device)
    if chosen == "openvino":
        try:
            return _compiled(base, settings, store)
        except (Unsuited, ModelRefused) as error:
            if settings.decoder == "openvino":
                raise refusal(error) from None
            logger.warning("decoder torch, and not OpenVINO: %s", error)

    def merged(adapter_hash: str) -> Decoder:
        return Decoder(merge(base.model, store.get(adapter_hash)))

    decoders = MergedDecoders(merged, settings.max_merged)
    backend = TorchBackend(base.decoder, decoders, first_pages(base.decoder.shape), base.passes)
    if base.device.type == "cuda":
        record_all(backend)
    return backend


def _compiled(base: Base, settings: ServingSettings, store: AdapterStore) -> AnyBackend:
    try:
        from serving.engine.openvino.backend import OpenVinoBackend

        shapes = linear_shapes(base.model)

        def lora(adapter_hash: str) -> Lora:
            return load_lora(store.get(adapter_hash), shapes, None, torch.float32, base.device)

        folder, most = settings.adapter_store, settings.max_merged
        backend = OpenVinoBackend(base.model, folder, lora=lora, max_merged=most)
        check(backend, base.model, base.sample)
    except (Unsuited, ModelRefused):
        raise
    except Exception as error:
        raise untried(error) from None
    let_go(base)
    give_back()
    return backend


def let_go(base: Base) -> None:
    """Give back the memory of the layers' projections; their shapes stay."""
    for module in base.model.get_decoder().layers.modules():
        if isinstance(module, torch.nn.Linear):
            empty = torch.empty_like(module.weight, device="meta")
            module.weight = torch.nn.Parameter(empty, requires_grad=False)
