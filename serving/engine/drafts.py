"""Guesses at how an answer goes on, from where its last tokens stood before.

Values are mostly copied from the product's text, and a model that has lost its way repeats itself:
what followed the same tokens earlier is a fair guess (prompt lookup decoding; transformers has it
as `prompt_lookup_num_tokens`). A guess is only ever checked by the model, never taken on trust.
"""

from collections.abc import Sequence

LONGEST = 2
"""Tokens that have to be the same, at first; then one fewer."""


def draft(trunk: Sequence[int], ids: Sequence[int], count: int) -> list[int]:
    """Up to `count` tokens that may follow the answer `ids` to a product with this trunk."""
    history = [*trunk, *ids]
    for length in range(min(LONGEST, len(ids)), 0, -1):
        tail = history[-length:]
        for start in range(len(history) - length - 1, -1, -1):
            if history[start : start + length] == tail:
                return history[start + length : start + length + count]
    return []
