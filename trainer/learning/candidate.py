"""The adapter that a training gives: averaged with its start where the plan says so, and a file."""

from serving.adapter_file import write_adapter
from trainer.learning.averaging import average
from trainer.learning.finetune import Finetuned
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
    return write_adapter(tensors, header), error
