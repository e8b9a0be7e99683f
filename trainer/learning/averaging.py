"""The adapter that a training gives: averaged with its parent where the plan says so, and a file.

The average is one in weight space, of the same rank. The weights that two adapters of rank r add to
a module average to a matrix of rank 2r,

    p B0 A0 + (1 - p) B1 A1 = [p B0, (1 - p) B1] [A0; A1]

With B = Qb Rb and Aᵀ = Qa Ra (thin QR) its singular values are those of the small core Rb Raᵀ, and
the r largest are the nearest matrix of rank r (Eckart and Young); √S goes to each side. Averaging A
and B apart instead would be another matrix altogether. A projector's weights are averaged one by
one, where the parent has a projector too.
"""

import math

import torch

from serving.adapter_file import (
    SUFFIX_A,
    SUFFIX_B,
    AdapterFile,
    lora_tensors,
    write_adapter,
)
from serving.projector import EYES
from trainer.errors import TrainingError
from trainer.learning.finetune import Finetuned
from trainer.learning.lora import LoraTensors
from trainer.learning.strategies import Plan
from trainer.settings import TrainerSettings


def make_candidate(
    made: Finetuned,
    plan: Plan,
    settings: TrainerSettings,
    adapter_id: str,
    parent_id: str,
    parent_hash: str,
) -> tuple[bytes, float | None]:
    """The adapter as the bytes of its file, and what averaging lost.

    Args:
        made: what the training by `plan` gave.
        plan: its start is what is averaged with.
        settings: those of the training.
        adapter_id: what the adapter is called from now on.
        parent_id: the adapter that it follows on, `base` for the first; also where it was trained
            from the base.
        parent_hash: that adapter's.

    Returns:
        The file, and the relative error of the average cut to its rank; None where the plan wants
        no average.

    Raises:
        TrainingError: the two cannot be averaged.
    """
    tensors, error = dict(made.tensors), None
    if plan.start is not None and plan.parent_share:
        scale = settings.alpha / settings.rank
        tensors, error = average(plan.start, tensors, plan.parent_share, scale)
    header = {
        "adapter_id": adapter_id,
        "parent_id": parent_id,
        "parent_hash": parent_hash,
        "base_hash": made.base_hash,
        "rank": settings.rank,
        "alpha": settings.alpha,
        "peft_config": made.peft_config,
    }
    if made.sight is not None:
        header[EYES] = made.sight.model_dump_json()
    return write_adapter(tensors, header), error


def average(
    parent: AdapterFile, tensors: LoraTensors, parent_share: float, scale: float
) -> tuple[dict[str, torch.Tensor], float]:
    """The average of `parent` and the adapter trained from it.

    Args:
        parent: weighs `parent_share`, 0 to 1.
        tensors: the trained adapter's, by their names in the file; they weigh the rest.
        parent_share: p above.
        scale: alpha / rank of the trained adapter.

    Returns:
        Tensors of the same names and shapes, and what the cut to rank r lost: the Frobenius norm
        of the difference over that of the exact average, over all modules; 0 to 1. A projector
        loses nothing.

    Raises:
        TrainingError: the two differ in rank, modules or alpha / rank.
    """
    both = parent.tensors()
    old, new = lora_tensors(both), lora_tensors(tensors)
    if parent.scale != scale or _sizes(old) != _sizes(new):
        raise TrainingError(
            "the adapter cannot be averaged with its parent: rank, alpha or modules differ; keep "
            "`rank` and `alpha` as they were, or set average_with_parent to 0"
        )
    # A parent that does not see has no share in how its child does.
    averaged: dict[str, torch.Tensor] = {
        name: torch.lerp(tensor, both.get(name, tensor), parent_share)
        for name, tensor in tensors.items()
        if name not in new
    }
    lost = whole = 0.0
    for name_a in (name for name in new if name.endswith(SUFFIX_A)):
        name_b = name_a.removesuffix(SUFFIX_A) + SUFFIX_B
        b = torch.cat([old[name_b] * parent_share, tensors[name_b] * (1 - parent_share)], dim=1)
        a = torch.cat([old[name_a], tensors[name_a]])
        rank = len(tensors[name_a])
        averaged[name_b], averaged[name_a], singular = _nearest(b.double(), a.double(), rank)
        whole += float(singular.square().sum())
        lost += float(singular[rank:].square().sum())
    return averaged, math.sqrt(lost / whole) if whole else 0.0


def _sizes(tensors: LoraTensors) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _nearest(
    b: torch.Tensor, a: torch.Tensor, rank: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """B (out, rank) and A (rank, in), fp32, nearest to `b @ a`, and its singular values."""
    qb, rb = torch.linalg.qr(b)
    qa, ra = torch.linalg.qr(a.T)
    u, singular, vt = torch.linalg.svd(rb @ ra.T, full_matrices=False)
    root = singular[:rank].sqrt()
    near_b, near_a = qb @ u[:, :rank] * root, root[:, None] * vt[:rank] @ qa.T
    # A module narrower than the rank has fewer singular values than that.
    missing = rank - len(root)
    return (
        torch.nn.functional.pad(near_b, (0, missing)).float(),
        torch.nn.functional.pad(near_a, (0, 0, 0, missing)).float(),
        singular,
    )
