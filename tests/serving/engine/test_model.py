"""Merged models compute what peft computes, and the base stays as it was."""

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    FastVlmConfig,
    Gemma3Config,
    Gemma3TextConfig,
    InternVLConfig,
    Lfm2VlConfig,
    LlamaConfig,
    LlavaConfig,
    MistralConfig,
    Qwen2VLConfig,
    Qwen3_5Config,
    SmolVLMConfig,
)

from schemas.errors import ListuneError
from serving.adapter_file import read_adapter, to_peft_folder
from serving.engine.model import check_architecture, load_base, merge
from serving.errors import ModelRefused
from serving.settings import ServingSettings
from tests.serving.helpers import adapter_blob

IDS = torch.tensor([[5, 17, 300, 42, 7, 99]])


@pytest.fixture
def adapter(base, shapes):
    return read_adapter(adapter_blob(shapes, base.hash))


@torch.no_grad()
def logits(model):
    return model(IDS).logits


def test_a_merged_model_gives_the_logits_of_plain_peft(base, tiny_base, adapter, tmp_path):
    to_peft_folder(adapter.blob, tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tiny_base)
    theirs = logits(PeftModel.from_pretrained(plain, tmp_path).eval())
    ours = logits(merge(base.model, adapter))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
    assert not torch.allclose(ours, logits(base.model), atol=1e-1)


def test_merging_leaves_the_base_as_it_was_and_shares_its_memory(base, adapter):
    before = logits(base.model)
    merged = merge(base.model, adapter)
    assert torch.equal(logits(base.model), before)
    assert merged.model.embed_tokens.weight is base.model.model.embed_tokens.weight
    assert merged.lm_head.weight is base.model.lm_head.weight
    layer, original = merged.model.layers[0].self_attn, base.model.model.layers[0].self_attn
    assert layer.k_proj.weight is original.k_proj.weight, "not a module of the adapter"
    assert layer.q_proj.weight is not original.q_proj.weight


def test_a_zero_adapter_changes_nothing(base, shapes):
    zero = read_adapter(adapter_blob(shapes, base.hash, size=0.0))
    weights = [parameter.data_ptr() % 64 for parameter in base.model.parameters()]
    assert not any(weights), "kernels round by alignment"
    assert torch.equal(logits(merge(base.model, zero)), logits(base.model))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MistralConfig(sliding_window=64), "sliding_attention"),
        (Gemma3TextConfig(), "sliding_attention"),
        (
            LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
            "dynamic RoPE",
        ),
    ],
)
def test_what_a_tree_cannot_serve_exactly_is_refused(config, reason):
    with pytest.raises(ModelRefused, match=reason):
        check_architecture(config)


def test_full_attention_with_static_rope_is_served():
    check_architecture(LlamaConfig())
    check_architecture(MistralConfig(sliding_window=None))


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    for base in ("", tmp_path):
        with pytest.raises(ListuneError):
            load_base(ServingSettings(), base)


def test_end_tokens_come_from_the_generation_configuration(base):
    assert base.model.generation_config.eos_token_id in base.vocabulary.stop_ids
    assert base.vocabulary.newline in base.vocabulary.stop_ids


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            Lfm2VlConfig(
                text_config={
                    "model_type": "lfm2",
                    "num_hidden_layers": 2,
                    "layer_types": ["conv", "full_attention"],
                }
            ),
            "lfm2 has layers of conv; choose a base with full attention throughout",
        ),
        (Gemma3Config(), "sliding_attention"),
        (Qwen3_5Config(), "layers of linear_attention"),
        (Qwen2VLConfig(), "qwen2_vl is no vision-language class that is known here; choose one of"),
        (LlavaConfig(), "llava is no .* one of smolvlm, idefics3, internvl, fast_vlm, qwen3_vl"),
        (
            InternVLConfig(
                text_config={
                    "model_type": "qwen3",
                    "use_sliding_window": True,
                    "sliding_window": 64,
                    "max_window_layers": 0,
                }
            ),
            "sliding_attention",
        ),
        (
            SmolVLMConfig(
                text_config={
                    "model_type": "llama",
                    "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
                }
            ),
            "dynamic RoPE",
        ),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_eyes_and_layers_that_are_not_known_are_refused_in_one_sentence(config, reason):
    with pytest.raises(ModelRefused, match=reason):
        check_architecture(config)


def test_a_vision_tower_of_a_library_that_is_missing_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr("serving.engine.model.find_spec", lambda name: None)
    with pytest.raises(ModelRefused, match="fast_vlm sees through a vision tower of timm"):
        check_architecture(FastVlmConfig())
