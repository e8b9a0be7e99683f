"""Attention in training: the trunk to itself, each branch to its trunk and to itself, no more.

A batch is one sequence of tokens in which trees stand one after the other, so nothing is padded
but the products below. A mask over (tokens x tokens) would compute every branch against all others
only to throw that away, half of a step's time with 40 branches. Here the trunks attend causally
among themselves; a branch's scores are taken against its trunk, which all its siblings share in one
product, and against its own tokens; one softmax goes over both. Plain PyTorch, so that autograd
does the rest. A token of a trunk may have a bias that is added to all scores against it: so the
rows of a picture fade in.

transformers calls `tree_attention` in the place of its own (its attention interface), and hands
through what the model is called with as `tree=`. Under a name that has no mask of its own it makes
none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

TRUNK = 0
"""The branch id of the trunk's tokens; branches proper are numbered from 1, in order."""

NAME = "listune_tree"


@dataclass(frozen=True)
class TreeLayout:
    """Where the trunks and branches of a batch stand among its tokens, padded with token 0.

    Trees and branches are padded at their ends, where causal order hides the padding, but for a
    trunk from its branches: `hidden` tells.
    """

    trunks: torch.Tensor  # (trees, longest trunk) places of tokens
    hidden: torch.Tensor  # (trees, longest trunk) booleans, True at padding
    branches: torch.Tensor  # (trees, most branches, longest branch) places of tokens
    back: torch.Tensor  # (tokens,) each token's place in `trunks` and `branches`, laid end to end
    bias: torch.Tensor | None = None  # (tokens,) added to scores against trunks; None: 0

    def to(self, device: torch.device) -> "TreeLayout":
        """The same layout on another device."""
        return TreeLayout(
            self.trunks.to(device),
            self.hidden.to(device),
            self.branches.to(device),
            self.back.to(device),
            None if self.bias is None else self.bias.to(device),
        )


def lay_out(trees: Sequence[Sequence[int]]) -> TreeLayout:
    """The layout of trees that stand one after the other.

    Args:
        trees: each tree's branch ids, a token each: first the trunk's, then branch by branch.
    """
    places: list[list[list[int]]] = []
    token = 0
    for tree in trees:
        of_tree: list[list[int]] = [[] for _ in range(max(tree) + 1)]
        for number in tree:
            of_tree[number].append(token)
            token += 1
        places.append(of_tree)
    if all(len(tree) == 2 for tree in places):
        # An only branch goes on from its trunk: one causal sequence, which has faster kernels.
        places = [[[*trunk, *branch]] for trunk, branch in places]
    longest_trunk = max(len(tree[TRUNK]) for tree in places)
    most = max(len(tree) - 1 for tree in places)
    longest = max((len(branch) for tree in places for branch in tree[1:]), default=0)
    trunks = torch.zeros(len(places), longest_trunk, dtype=torch.long)
    hidden = torch.ones(len(places), longest_trunk, dtype=torch.bool)
    branches = torch.zeros(len(places), most, longest, dtype=torch.long)
    back = torch.zeros(token, dtype=torch.long)
    for number, (trunk, *others) in enumerate(places):
        count = len(trunk)
        trunks[number, :count] = torch.tensor(trunk)
        hidden[number, :count] = False
        back[trunk] = number * longest_trunk + torch.arange(count)
        for place, branch in enumerate(others):
            count = len(branch)
            branches[number, place, :count] = torch.tensor(branch, dtype=torch.long)
            start = trunks.numel() + (number * most + place) * longest
            back[branch] = start + torch.arange(count)
    return TreeLayout(trunks, hidden, branches, back)


def tree_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    tree: TreeLayout,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """The attention of one batch of trees.

    Args:
        module: the attention layer.
        query: (1, query heads, tokens, size).
        key: (1, key heads, tokens, size), positions already in it.
        value: as `key`.
        attention_mask: none; `tree` says who attends to whom.
        tree: where the trees stand.
        scaling: of the scores.

    Returns:
        (1, tokens, query heads, size), and None for the weights.
    """
    # Under autocast rotary embeddings leave queries and keys in fp32.
    query, key, value = (x[0].transpose(0, 1).to(value.dtype) for x in (query, key, value))
    out = _trunks(query, key, value, tree, scaling)
    if tree.branches.numel():
        out = torch.cat([out, _branches(query, key, value, tree, scaling)])
    return out[tree.back][None], None


def _trunks(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, tree: TreeLayout, scaling: float
) -> torch.Tensor:
    """(trees * longest trunk, query heads, size); arguments (tokens, heads, size)."""
    groups = query.shape[1] // key.shape[1]
    q, k, v = (
        x[tree.trunks].transpose(1, 2)
        for x in (query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1))
    )
    if tree.bias is None:
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling)
    else:
        size = tree.trunks.shape[1]
        later = torch.ones(size, size, dtype=torch.bool, device=q.device).triu(1)
        mask = tree.bias[tree.trunks][:, None, None].to(q.dtype).masked_fill(later, float("-inf"))
        out = functional.scaled_dot_product_attention(q, k, v, mask, scale=scaling)
    return out.transpose(1, 2).flatten(0, 1)


def _branches(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, tree: TreeLayout, scaling: float
) -> torch.Tensor:
    """(trees * most branches * longest branch, query heads, size)."""
    trees, most, longest = tree.branches.shape
    heads, size = key.shape[1:]
    groups = query.shape[1] // heads
    # (trees, key heads, branches, longest * groups, size): the query heads that share a key head
    # are further rows of the same products.
    q = (query * scaling).unflatten(1, (heads, groups))[tree.branches]
    q = q.permute(0, 3, 1, 2, 4, 5).flatten(3, 4)
    own_k, own_v = (x[tree.branches].permute(0, 3, 1, 2, 4) for x in (key, value))
    # (trees, key heads, longest trunk, size)
    trunk_k, trunk_v = (x[tree.trunks].transpose(1, 2) for x in (key, value))

    to_trunk = (q.flatten(2, 3) @ trunk_k.transpose(2, 3)).view(*q.shape[:4], -1)
    if tree.bias is not None:
        to_trunk = to_trunk + tree.bias[tree.trunks][:, None, None, None].to(q.dtype)
    to_trunk = to_trunk.masked_fill(tree.hidden[:, None, None, None], float("-inf"))
    later = torch.ones(longest, longest, dtype=torch.bool, device=q.device).triu(1)
    to_own = q @ own_k.transpose(3, 4)
    to_own = to_own.masked_fill(later.repeat_interleave(groups, 0), float("-inf"))
    weights = torch.cat([to_trunk, to_own], -1).softmax(-1, dtype=torch.float32).to(value.dtype)
    of_trunk, of_own = weights.split([trunk_k.shape[2], longest], -1)
    out = (of_trunk.flatten(2, 3) @ trunk_v).view_as(q) + of_own @ own_v
    out = out.unflatten(3, (longest, groups)).permute(0, 2, 3, 1, 4, 5)
    return out.reshape(trees * most * longest, heads * groups, size)


AttentionInterface.register(NAME, tree_attention)
