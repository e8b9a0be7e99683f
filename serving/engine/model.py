"""The base model in memory once, with the eyes that it may have, and merged copies of it.

A merged model has an adapter added into copies of the linear weights it changes, W + alpha/r * B@A
in fp32 and then cast; everything else (embeddings, norms, head) is the base's own memory. The base
stays pristine and nothing is ever unmerged in place.
"""

import copy
import io
import logging
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils.logging import disable_progress_bar

from serving.adapter_file import AdapterFile
from serving.base_hash import base_hash
from serving.engine.decoder import Decoder
from serving.engine.decoder_check import NO_PICTURE, Sample, check
from serving.engine.eyes.base_eyes import BASES_WITH_EYES, BaseEyes
from serving.engine.eyes.encoder import load_encoder
from serving.engine.eyes.encoder_eyes import EncoderEyes
from serving.engine.eyes.features import Eyes
from serving.engine.gpu.choice import MakePasses, choose_passes
from serving.engine.precision import choose_dtype
from serving.engine.torch_backend import TorchBackend
from serving.errors import ModelRefused
from serving.pictures.picture import Picture
from serving.projector import Sight
from serving.settings import ServingSettings
from serving.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

# Their frequencies change with the length of the row, which a tree shares between branches.
DYNAMIC_ROPE = frozenset({"dynamic", "longrope"})

HUB_FILES = ["*.json", "*.safetensors", "*.txt"]


@dataclass(frozen=True)
class Base:
    """A base model, ready to generate."""

    model: Any
    vocabulary: Vocabulary
    hash: str
    dtype: torch.dtype
    device: torch.device
    eyes: Eyes | None = None

    @property
    def sight(self) -> Sight | None:
        """What an adapter's projector has to fit; None where no encoder stands before the base."""
        return self.eyes.sight if isinstance(self.eyes, EncoderEyes) else None

    @cached_property
    def sample(self) -> Sample:
        """A picture for the check of a decoder, where the base's own eyes see it."""
        return _sample(self.eyes) if self.eyes else NO_PICTURE

    @cached_property
    def decoder(self) -> Decoder:
        """The model as it generates, packed when first asked for and checked against itself.

        Raises:
            ModelRefused: it is not built like Llama, Qwen or SmolLM.
        """
        decoder = Decoder(self.model)
        check(TorchBackend(decoder), self.model, self.sample)
        return decoder

    @cached_property
    def passes(self) -> MakePasses:
        """What computes the decoder's passes: on a GPU kernels of ours, if right there."""
        return choose_passes(self.decoder, self.model)


def load_base(settings: ServingSettings, base: str | Path) -> Base:
    """Load the base model `base`, a folder or a hub id, as `settings` say.

    Raises:
        ModelRefused: it cannot be read, or its attention is not one that a tree can share; or the
            picture encoder cannot be read.
    """
    folder = resolve_base(base)
    disable_progress_bar()  # it would fill a server's log
    config = read_config(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        device, dtype = place_of(config, settings)
        model = _read_model(folder, config, dtype)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    model.to(device).eval().requires_grad_(False)
    align(model)
    return Base(
        model=model,
        vocabulary=Vocabulary(tokenizer, end_ids(model)),
        hash=base_hash(folder),
        dtype=dtype,
        device=device,
        eyes=_eyes(settings, folder, model, tokenizer),
    )


def read_config(folder: Path) -> Any:
    """The configuration of the base model in `folder`.

    Raises:
        ModelRefused: it cannot be read, or its attention is not one that a tree can share.
    """
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    check_architecture(config)
    return config


def _unreadable(folder: Path, error: Exception) -> ModelRefused:
    return ModelRefused(f"the base model in {folder.name} cannot be loaded: {error}")


def place_of(config: Any, settings: ServingSettings) -> tuple[torch.device, torch.dtype]:
    """Where a base of this configuration computes, and in which number type: measured if `auto`."""
    device = device_of(settings)
    text = config.get_text_config()
    shape = (text.hidden_size, getattr(text, "intermediate_size", 4 * text.hidden_size))
    return device, choose_dtype(settings.dtype, device, shape)


def device_of(settings: ServingSettings) -> torch.device:
    """Where a base computes."""
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _read_model(folder: Path, config: Any, dtype: torch.dtype) -> Any:
    if config.model_type not in BASES_WITH_EYES:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    # A vision tower chooses its own attention: not every one has this.
    attention = {"text_config": "sdpa"}
    return AutoModelForImageTextToText.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention
    )


def _eyes(settings: ServingSettings, folder: Path, model: Any, tokenizer: Any) -> Eyes | None:
    """The base's own, or those of an encoder beside it."""
    if model.config.model_type in BASES_WITH_EYES:
        if settings.encoder:
            logger.info("the base has eyes of its own: serving.encoder is not used")
        return BaseEyes(model, folder, tokenizer, settings.picture_edge)
    if not settings.encoder:
        return None
    hidden = model.config.get_text_config().hidden_size
    return EncoderEyes(load_encoder(Path(settings.encoder), model.device), hidden)


def _sample(eyes: Eyes) -> Sample:
    if not isinstance(eyes, BaseEyes):
        return NO_PICTURE
    file = io.BytesIO()
    Image.linear_gradient("L").resize((96, 64)).save(file, "JPEG")
    picture = Picture(file.getvalue())
    return Sample(tuple(eyes.see([picture])), eyes.inputs(picture))


def align(model: Any) -> None:
    """Move the weights to where torch would allocate them.

    Those read from a safetensors file lie at any address, and kernels that depend on alignment
    round differently: a merged copy of the very same weights would not answer as the base does.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def resolve_base(base: str | Path) -> Path:
    """The folder of a base model given as a folder or as a hub id.

    Raises:
        ModelRefused: there is no such folder, and the hub has no such model.
    """
    if not str(base):
        raise ModelRefused("no base model is set; set serving.base_model to a folder or a hub id")
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(base), allow_patterns=HUB_FILES))
    except Exception as error:  # the hub's client has dozens of kinds
        raise ModelRefused(
            f"{str(base)!r} is neither a folder nor a model that the hub gives ({error}); "
            "set serving.base_model"
        ) from None


def check_architecture(config: Any) -> None:
    """Refuse what a tree in one row cannot serve exactly.

    Raises:
        ModelRefused: attention other than full, position frequencies that depend on the length, or
            eyes that are not known.
    """
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    sliding = getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True)
    if kinds - {"full_attention"} or (not kinds and sliding):
        found = ", ".join(sorted(kinds - {"full_attention"})) or "sliding_attention"
        raise ModelRefused(
            f"{text.model_type} has layers of {found}; choose a base with full attention throughout"
        )
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    entries = [rope, *(value for value in rope.values() if isinstance(value, dict))]
    if any(entry.get("rope_type") in DYNAMIC_ROPE for entry in entries):
        raise ModelRefused(f"{text.model_type} has dynamic RoPE; choose a base with static RoPE")
    _check_eyes(config)


def _check_eyes(config: Any) -> None:
    kind, vision = config.model_type, getattr(config, "vision_config", None)
    sees = vision is not None or kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    if sees and kind not in BASES_WITH_EYES:
        raise ModelRefused(
            f"{kind} is no vision-language class that is known here; choose one of "
            f"{', '.join(BASES_WITH_EYES)}, or a base without eyes and set serving.encoder"
        )
    if getattr(vision, "model_type", "") == "timm_wrapper" and find_spec("timm") is None:
        raise ModelRefused(
            f"{kind} sees through a vision tower of timm, which is not installed; install timm "
            "beside listune, or choose another base"
        )


def end_ids(model: Any) -> list[int]:
    """The end tokens that the model's configurations name."""
    found: list[int] = []
    for config in (model.generation_config, model.config.get_text_config()):
        named = getattr(config, "eos_token_id", None)
        found += named if isinstance(named, list) else [] if named is None else [named]
    return found


def linear_shapes(model: Any) -> dict[str, tuple[int, int]]:
    """(out, in) of each linear module of the language part by name; eyes are never adapted."""
    part = {*model.get_decoder().modules(), model.get_output_embeddings()}
    return {
        name: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module in part
    }


@torch.no_grad()
def merge(model: Any, adapter: AdapterFile) -> Any:
    """A model that computes as `model` with `adapter`; shares all memory that does not change."""
    # With every tensor already in the memo, the copy is of the modules alone.
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    merged = copy.deepcopy(model, shared)
    for name, (a, b) in adapter.pairs().items():
        module = merged.get_submodule(name)
        weight = module.weight
        delta = b.to(weight.device, torch.float32) @ a.to(weight.device, torch.float32)
        summed = weight.float().add(delta, alpha=adapter.scale).to(weight.dtype)
        module.weight = torch.nn.Parameter(summed, requires_grad=False)
    return merged
