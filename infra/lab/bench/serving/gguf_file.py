"""The base model as a GGUF file with 16-bit weights: the form in which OpenVINO GenAI takes a
Llama from a folder, without a hub, an exporter or another version of transformers.

The weights of the linear layers and the embedding are rounded to fp16 (OpenVINO's reader takes no
bf16 and no fp32), which is finer than the bf16 in which they are multiplied; norms stay fp32.
`python -m infra.lab.bench.serving.gguf_file FOLDER FILE` writes it in a process of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

# The kinds of token in a GGUF file (llama.cpp's enum).
NORMAL, CONTROL = 1, 3
FILE_TYPE_MOSTLY_F16 = 1

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(base: Path, path: Path) -> None:
    """Write the Llama in the folder `base` (safetensors, byte-level BPE) to the file `path`.

    Raises:
        ValueError: another architecture.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((base / "config.json").read_text())
    if config["model_type"] != "llama":
        raise ValueError(f"only a Llama is written as GGUF here, this is a {config['model_type']}")
    writer = gguf.GGUFWriter(str(path), "llama")
    _put_sizes(writer, config)
    _put_tokenizer(writer, base, config)
    for name, tensor in load_file(base / "model.safetensors").items():
        if (target := tensor_name(name)) is None:
            continue
        if ".attn_q." in target:
            tensor = interleave(tensor, config["num_attention_heads"])
        if ".attn_k." in target:
            tensor = interleave(tensor, config["num_key_value_heads"])
        writer.add_tensor(target, tensor.astype(np.float32 if tensor.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensor_name(name: str) -> str | None:
    """The GGUF name of a tensor of transformers' Llama; None for a head that the embedding is."""
    part = name.removeprefix("model.").removesuffix(".weight")
    match part.split(".", 2):
        case ["embed_tokens"]:
            return "token_embd.weight"
        case ["norm"]:
            return "output_norm.weight"
        case ["lm_head"]:
            return "output.weight"
        case ["layers", number, rest]:
            return f"blk.{number}.{NAMES[rest]}.weight"
    return None


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """(heads x size, in) with each head's rotated halves interleaved, as GGUF keeps q and k."""
    size = weight.shape[0] // heads
    return (
        weight.reshape(heads, 2, size // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
    )


def _put_sizes(writer: Any, config: dict[str, Any]) -> None:
    rope = config.get("rope_parameters") or {}
    writer.add_file_type(FILE_TYPE_MOSTLY_F16)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta", 10_000.0))
    writer.add_rope_dimension_count(
        config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    )
    writer.add_vocab_size(config["vocab_size"])


def _put_tokenizer(writer: Any, base: Path, config: dict[str, Any]) -> None:
    """The vocabulary: the server wants one, although it is given token ids."""
    content = json.loads((base / "tokenizer.json").read_text())
    tokens = [f"[unused{number}]" for number in range(config["vocab_size"])]
    kinds = [NORMAL] * len(tokens)
    for token, number in content["model"]["vocab"].items():
        tokens[number] = token
    for added in content["added_tokens"]:
        tokens[added["id"]], kinds[added["id"]] = added["content"], CONTROL
    merges = content["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    end = config["eos_token_id"]
    writer.add_bos_token_id(config.get("bos_token_id") or 0)
    writer.add_eos_token_id(end[0] if isinstance(end, list) else end)
    writer.add_pad_token_id(config.get("pad_token_id") or 0)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")


if __name__ == "__main__":
    write_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
