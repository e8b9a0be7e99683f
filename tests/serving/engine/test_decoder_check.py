"""The lean forward pass computes what transformers computes, or is refused."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from serving.engine.decoder import Decoder
from serving.engine.decoder_check import check
from serving.engine.eyes import base_eyes
from serving.engine.eyes.base_eyes import in_line
from serving.engine.model import load_base
from serving.engine.openvino.support import Unsuited
from serving.engine.torch_backend import TorchBackend
from serving.errors import ModelRefused
from serving.settings import ServingSettings
from tests.serving.tiny_vision import KINDS, make_tiny_vision_model

SMALL = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def random_model(config, dtype=torch.float32):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(dtype).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:  # as initialised they are ones and zeros
            parameter.data.uniform_(0.5, 1.5)
    return model


def backend_of(model, decoder):
    if decoder == "torch":
        return TorchBackend(Decoder(model))
    from serving.engine.openvino.backend import OpenVinoBackend

    return OpenVinoBackend(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL),
        LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True, hidden_act="gelu"),
        LlamaConfig(
            **SMALL,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 1e4,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        ),
        MistralConfig(**SMALL, sliding_window=None),
        Qwen2Config(**SMALL),
        Qwen3Config(**SMALL, head_dim=24),
        SmolLM3Config(**SMALL),
    ],
    ids=lambda config: config.model_type,
)
def test_models_like_llama_are_served_as_they_are(config, dtype, decoder):
    model = random_model(config, dtype)
    check(backend_of(model, decoder), model)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (GPT2Config(vocab_size=300, n_embd=64, n_layer=2, n_head=4), "not built like Llama"),
        (Phi3Config(**SMALL), "not built like Llama"),
        (GraniteConfig(**SMALL, residual_multiplier=0.3), "differ by"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_other_models_are_refused_in_one_sentence(config, reason, decoder):
    model = random_model(config)
    with pytest.raises((ModelRefused, Unsuited), match=reason):
        check(backend_of(model, decoder), model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_base_with_eyes_is_compared_with_a_picture_in_its_trunk(kind, dtype, tmp_path):
    settings = ServingSettings(dtype=dtype, device="cpu")
    base = load_base(settings, make_tiny_vision_model(tmp_path, kind))
    base.decoder  # noqa: B018  # checked when first asked for
    assert base.eyes.kept.computed == 1


def test_a_picture_that_stands_elsewhere_than_in_the_model_is_refused(tmp_path, monkeypatch):
    base = load_base(
        ServingSettings(dtype="float32", device="cpu"), make_tiny_vision_model(tmp_path, "qwen3_vl")
    )
    monkeypatch.setattr(
        base_eyes,
        "in_grid",
        lambda before, row, grid, after: in_line(before, [row] * grid[0] * grid[1], after),
    )
    with pytest.raises(ModelRefused, match="differ by"):
        base.decoder  # noqa: B018
