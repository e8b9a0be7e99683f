"""The converted base model has the end tokens it was trained with; the tiny one is diverse."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from infra.local.tiny_model import make_tiny_model

TEXT = "Weight (kg): 2.5 , 12 pieces\nColour: dark blue\n naïve 尺寸 ½ \t\n\n"


def test_the_base_models_turn_ends_in_im_end_and_its_text_in_endoftext(base_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    generation = GenerationConfig.from_pretrained(base_model)
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    assert tokenizer.eos_token_id == 2
    assert generation.eos_token_id == [2, 0]
    assert tokenizer.convert_ids_to_tokens([2, 0]) == ["<|im_end|>", "<|endoftext|>"]


def test_the_base_models_tokenizer_gives_text_back_as_it_was(base_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    assert tokenizer.clean_up_tokenization_spaces is False
    ids = tokenizer(TEXT).input_ids
    assert tokenizer.decode(ids) == TEXT
    assert ids[0] != tokenizer.bos_token_id


def test_129_tokens_of_the_base_model_contain_a_newline(base_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    assert sum("\n" in text for text in texts) == 129


def test_the_base_models_configuration_no_longer_asks_for_the_gguf_file(base_model: Path) -> None:
    config = json.loads((base_model / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["dtype"] == "float32"


def test_the_tiny_model_answers_different_prompts_differently(tiny_base: Path) -> None:
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tiny_base),
        AutoTokenizer.from_pretrained(tiny_base),
    )
    prompts = [f"Category: {word}\nColour:" for word in ("kettle", "shirt", "lamp", "desk", "cup")]
    answers = set()
    for prompt in prompts:
        ids = torch.tensor([tokenizer(prompt).input_ids])
        made = model.generate(ids, max_new_tokens=8, do_sample=False)
        answers.add(tuple(made[0, ids.shape[1] :].tolist()))
    assert len(answers) == len(prompts)
    assert model.get_input_embeddings().weight is not model.get_output_embeddings().weight


def test_the_tiny_models_tokenizer_is_byte_level_and_exact(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    assert tokenizer.decode(tokenizer(TEXT).input_ids) == TEXT
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    assert "\n" in tokenizer.batch_decode([[token] for token in range(len(tokenizer))])


def test_the_tiny_model_is_the_same_for_the_same_seed(tmp_path: Path, tiny_base: Path) -> None:
    again, other = make_tiny_model(tmp_path / "again"), make_tiny_model(tmp_path / "other", seed=1)
    weights = [(path / "model.safetensors").read_bytes() for path in (tiny_base, again, other)]
    assert weights[0] == weights[1] != weights[2]
