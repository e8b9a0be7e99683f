"""Which decoder serves, PyTorch's or the one that OpenVINO compiles: measured, not assumed.

The measurement takes a few layers of the base's shape with random weights, so that it costs about
as much for a large base as for a small one, and can be made before the base is read: whoever keeps
answers needs to know which decoder they are from.
"""

import copy
import logging
import time
from collections.abc import Sequence
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from serving.engine.backend import AnyBackend
from serving.engine.decoder import Decoder
from serving.engine.decoder_check import check
from serving.engine.openvino.support import Unsuited, check_config, check_machine
from serving.engine.precision import ROWS
from serving.engine.torch_backend import TorchBackend
from serving.errors import ModelRefused
from serving.prompt import Trunk

logger = logging.getLogger(__name__)

DecoderName = Literal["torch", "openvino"]
LAYERS = 4
WEIGHTS = 64_000_000  # fewer layers of a wider base, so that it takes seconds whatever its width
VOCABULARY = 1024  # the head is one large product, which both compute alike
TRUNK_TOKENS = 192
QUESTION_TOKENS = 8
TURNS = 6
# A start on a busy machine should not choose otherwise than the one before.
WORTHWHILE = 1.05


def choose_decoder(
    wanted: str, config: Any, dtype: torch.dtype, device: torch.device
) -> DecoderName:
    """The decoder that `wanted` names; for `auto` the faster one on this machine.

    Args:
        wanted: `auto`, `openvino` or `torch`.
        config: transformers' configuration of the base.
        dtype: the number type that it computes in.
        device: where it computes.

    Raises:
        ModelRefused: `openvino` is wanted and cannot be had.
    """
    if wanted == "torch":
        return "torch"
    try:
        check_machine(device)
        check_config(config)
        if wanted == "auto":
            return _measured(config, dtype)
    except Unsuited as error:
        if wanted == "openvino":
            raise refusal(error) from None
        logger.info("decoder torch, and not OpenVINO: %s", error)
        return "torch"
    return "openvino"


def refusal(error: Exception) -> ModelRefused:
    """What is said where `openvino` is wanted and cannot be had."""
    return ModelRefused(
        f"serving.decoder is openvino, but {error}; or set serving.decoder to auto or torch"
    )


def untried(error: Exception) -> Unsuited:
    """Whatever it is, PyTorch may serve the base all the same. Of a long story the first line."""
    what = ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
    return Unsuited(f"it could not be tried ({what})")


def _measured(config: Any, dtype: torch.dtype) -> DecoderName:
    try:
        from serving.engine.openvino.backend import OpenVinoBackend

        model = small_model(config, dtype)
        compiled, ours = OpenVinoBackend(model), TorchBackend(Decoder(model))
        check(compiled, model)
        torch_ms, openvino_ms = pass_ms([ours, compiled])
    except Unsuited:
        raise
    except Exception as error:
        raise untried(error) from None
    chosen: DecoderName = "openvino" if WORTHWHILE * openvino_ms < torch_ms else "torch"
    logger.info(
        "decoder %s: a pass of %d rows through %d layers takes PyTorch %.1f ms, OpenVINO %.1f ms",
        *(chosen, ROWS, model.config.num_hidden_layers, torch_ms, openvino_ms),
    )
    return chosen


def small_model(config: Any, dtype: torch.dtype) -> Any:
    """A model with random weights of the base's shape, but few layers and tokens."""
    text = copy.deepcopy(config.get_text_config())
    text.num_hidden_layers = min(_layers(text), text.num_hidden_layers)
    for name in ("layer_types", "no_rope_layers"):
        if getattr(text, name, None) is not None:
            setattr(text, name, getattr(text, name)[: text.num_hidden_layers])
    text.vocab_size = VOCABULARY
    text.pad_token_id = text.bos_token_id = text.eos_token_id = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(text, dtype=dtype, attn_implementation="sdpa")
    return model.eval().requires_grad_(False)


def _layers(text: Any) -> int:
    """How many layers of this width are measured."""
    wide = getattr(text, "intermediate_size", 4 * text.hidden_size)
    weights = text.hidden_size * (3 * wide + 4 * text.hidden_size)  # MLP, and at most attention
    return int(min(LAYERS, max(1, WEIGHTS // weights)))


@torch.inference_mode()
def pass_ms(backends: Sequence[AnyBackend]) -> list[float]:
    """The milliseconds of a decoding pass of each: the branches of one listing, a token each."""
    trunk = Trunk(tuple(range(TRUNK_TOKENS)), range(TRUNK_TOKENS), TRUNK_TOKENS)
    question = list(range(QUESTION_TOKENS))
    caches = [backend.cache(trunk, ROWS) for backend in backends]
    seconds = [float("inf")] * len(backends)
    for turn in range(TURNS):
        # By turns, so that a neighbour on the machine disturbs all alike; the best turn counts.
        for number, (backend, cache) in enumerate(zip(backends, caches, strict=True)):
            made = backend.begin()
            fed = question if turn == 0 else [0]
            slot = 0 if turn == 0 else QUESTION_TOKENS + turn
            rows = made.add(
                cache, None if turn else trunk, [(branch, slot, fed) for branch in range(ROWS)]
            )
            started = time.perf_counter()
            made.run(rows)
            if turn:
                seconds[number] = min(seconds[number], time.perf_counter() - started)
    return [1000 * best for best in seconds]
