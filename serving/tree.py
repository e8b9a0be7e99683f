"""A tree in one row: who may attend to whom, and at which position.

The row holds the trunk's tokens, then tokens of the branches in any interleaving. Branch 0 is the
trunk; a token of branch b attends to the trunk, and to the earlier tokens of b, and to nothing
else. Positions of a branch count on from the trunk's end, so that each branch reads as if it
followed the trunk directly. The mask is always passed explicitly and in four dimensions: without
one transformers takes restarting positions for packed sequences and cuts branches from their trunk.
"""

import torch

TRUNK = 0
"""The branch id of the trunk's tokens; branches proper are numbered from 1."""

PADDING = -1
"""The branch id of padding, which nobody attends to."""


def tree_mask(branch_of_key: torch.Tensor, queries: int) -> torch.Tensor:
    """The attention mask of the row's last `queries` tokens.

    Args:
        branch_of_key: (rows, keys) integer branch ids of all tokens so far, the queries' last.
        queries: how many of the last tokens are being computed now.

    Returns:
        (rows, 1, queries, keys) booleans, True where the query may attend to the key.
    """
    keys = branch_of_key.shape[1]
    branch_of_query = branch_of_key[:, keys - queries :, None]
    branch = branch_of_key[:, None, :]
    order = torch.arange(keys, device=branch_of_key.device)
    causal = order[None, :] <= order[keys - queries :, None]
    visible = (branch == TRUNK) | (branch == branch_of_query)
    mask = visible & causal & (branch != PADDING)
    # A padding query attends to itself: a row without any key would become NaN.
    own = order[None, :] == order[keys - queries :, None]
    return (mask | (own & (branch_of_query == PADDING)))[:, None]
