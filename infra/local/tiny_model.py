"""A tiny random Llama with a real tokenizer, for tests that need a model but not a good one.

Untied embeddings and a large initialisation keep its outputs diverse: with the usual small one
every prompt gets the same answer and margins are so narrow that comparisons mean nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 1000

# Enough text for a thousand merges' worth of the words that prompts are made of.
SENTENCES = (
    "Category: Kettles. Title: steel kettle, 1.7 l, 2200 W, cordless, matt black",
    "Brand: Nordhaus\nColour: dark blue\nMaterial: stainless steel\nWeight: 1.25 kg",
    "Description: a light cotton shirt with long sleeves, a button-down collar and a slim fit",
    "Battery included: yes\nRechargeable: no\nWarranty: 24 months\nCountry of origin: Portugal",
    "Screen size: 15.6 in\nMemory: 16 GB\nStorage: 512 GB\nProcessor: 8 cores\nColour: silver",
    "Dishwasher safe: yes\nCapacity: 350 ml\nPattern: striped\nShape: round\nSet of 6 pieces",
    "Suitable for children from 3 years, machine washable at 30 degrees, do not bleach",
    "Attributes: choice, number, yes/no, text, date, pattern, several values, unit mm, cm, g, kg",
)


def make_tiny_model(path: Path, seed: int = 0) -> Path:
    """Write model and tokenizer to `path` (about 1 MB, a second or two) and return it.

    Same seed, same weights. hidden 64, 2 layers, 4 heads of which 2 carry keys and values.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        initializer_range=0.4,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def tiny_tokenizer(special_tokens: Sequence[str] = ()) -> Any:
    """A byte-level BPE tokenizer of `VOCABULARY` tokens at most, and these beside them."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_trained(),
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens(list(special_tokens), special_tokens=True)
    return tokenizer


def _trained():  # type: ignore[no-untyped-def]  # tokenizers has no types
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer
