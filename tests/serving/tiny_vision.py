"""Tiny random vision-language models of each class that is served, with processor and tokenizer.

Large initialisation and untied embeddings, as in `infra.local.tiny_model`, so that answers differ
and what a picture shows changes them. FastVLM's own tower comes from timm, which is not installed;
a ResNet, whose outputs have the same shape, stands for it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    ResNetConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from infra.local.tiny_model import tiny_tokenizer
from serving.pictures.picture import Picture

SPECIAL_TOKENS = {
    "smolvlm": ("<fake_token_around_image>", "<global-img>", "<image>"),
    "idefics3": ("<fake_token_around_image>", "<global-img>", "<image>"),
    "internvl": ("<img>", "</img>", "<IMG_CONTEXT>"),
    "fast_vlm": ("<image>",),
    "qwen3_vl": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
}
PROCESSORS = {
    "smolvlm": SmolVLMImageProcessorPil,
    "idefics3": Idefics3ImageProcessorPil,
    "internvl": GotOcr2ImageProcessorPil,
    "fast_vlm": CLIPImageProcessorPil,
    "qwen3_vl": Qwen2VLImageProcessorPil,
}
ONE_TILE = {
    "smolvlm": {"do_image_splitting": False, "size": {"longest_edge": 32}},
    "idefics3": {"do_image_splitting": False, "size": {"longest_edge": 32}},
    "internvl": {"crop_to_patches": False},
}
KINDS = tuple(SPECIAL_TOKENS)
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.4,
}


def make_tiny_vision_model(path: Path, kind: str, seed: int = 0) -> Path:
    """Write a model of `kind` with all that a hub's folder has to `path` and return it."""
    tokenizer = tiny_tokenizer(SPECIAL_TOKENS[kind])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = MAKERS[kind](tokenizer)
        for name, parameter in model.named_parameters():
            # As initialised they are zeros and ones.
            if name.endswith("bias"):
                parameter.data.uniform_(-0.2, 0.2)
            elif "norm" in name:
                parameter.data.uniform_(0.5, 1.5)
        # No trained model answers with a picture's tokens; transformers would take them for one.
        unspoken = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS[kind]))
        model.get_output_embeddings().weight.data[unspoken] = 0
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(path)
    processor.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def pixels_for(
    config: Any, folder: Path, pictures: Sequence[Picture]
) -> Callable[[torch.Tensor], dict[str, Any]]:
    """What transformers' model takes of `pictures` beside a prompt (1, n), by its own processor."""
    if not pictures:
        return lambda prompt: {}
    kind, row = config.model_type, config.image_token_id
    processor = PROCESSORS[kind].from_pretrained(folder)
    images: Any = [picture.pixels() for picture in pictures]
    # These take the pictures of a prompt as a list in the list of prompts.
    images = [images] if kind in ("smolvlm", "idefics3") else images
    made = processor(images, return_tensors="pt", **ONE_TILE.get(kind, {}))
    inputs = {name: made[name] for name in processor.model_input_names}
    if kind != "qwen3_vl":
        return lambda prompt: inputs
    return lambda prompt: inputs | {"mm_token_type_ids": (prompt == row).int()}


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "initializer_range": 0.4,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **more,
    }


def _smolvlm(tokenizer: Any) -> tuple[Any, Any]:
    model = SmolVLMForConditionalGeneration(_smol(SmolVLMConfig, tokenizer))
    return model, SmolVLMImageProcessorPil(**SMOL_SIZES)


def _idefics3(tokenizer: Any) -> tuple[Any, Any]:
    model = Idefics3ForConditionalGeneration(_smol(Idefics3Config, tokenizer))
    return model, Idefics3ImageProcessorPil(**SMOL_SIZES)


SMOL_SIZES: Any = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}


def _smol(config_class: Any, tokenizer: Any) -> Any:
    """Four rows a picture."""
    return config_class(
        text_config=_text(tokenizer, model_type="llama"),
        vision_config={**VISION, "image_size": 32, "patch_size": 8},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
    )


def _internvl(tokenizer: Any) -> tuple[Any, Any]:
    """Four rows a picture."""
    config = InternVLConfig(
        text_config=_text(tokenizer, model_type="qwen3", head_dim=16),
        vision_config={**VISION, "image_size": [32, 32], "patch_size": [8, 8]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    processor = GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, crop_to_patches=True)
    return InternVLForConditionalGeneration(config), processor


def _fast_vlm(tokenizer: Any) -> tuple[Any, Any]:
    """Four rows a picture."""
    tower = ResNetConfig(
        embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", hidden_size=32
    )
    config = FastVlmConfig(
        text_config=_text(tokenizer, model_type="qwen2"),
        vision_config=tower.to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    return FastVlmForConditionalGeneration(config), processor


def _qwen3_vl(tokenizer: Any) -> tuple[Any, Any]:
    """Rows by the picture's shape, at most sixteen; added again after two of three layers."""
    section = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config=_text(tokenizer, num_hidden_layers=3, head_dim=16, rope_parameters=section),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 4,
            "num_position_embeddings": 16,
            "out_hidden_size": 64,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": 0.4,
        },
        tie_word_embeddings=False,
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 8 * 8, "longest_edge": 32 * 32}, patch_size=4
    )
    return Qwen3VLForConditionalGeneration(config), processor


MAKERS = {
    "smolvlm": _smolvlm,
    "idefics3": _idefics3,
    "internvl": _internvl,
    "fast_vlm": _fast_vlm,
    "qwen3_vl": _qwen3_vl,
}
