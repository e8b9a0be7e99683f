"""The loss of each listing under an adapter, forward only: what the curation `loss` ranks by."""

import random
from collections.abc import Callable, Sequence

import torch

from serving.adapter_file import AdapterFile
from serving.engine.model import load_base, merge
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from trainer.data.dataset import Row
from trainer.learning.finetune import PicturesOf
from trainer.learning.learner import parent_projector
from trainer.learning.packing import collate, pack
from trainer.learning.tree_loss import SummedLoss
from trainer.settings import TrainerSettings


@torch.no_grad()
def listing_losses(
    rows: Sequence[Row],
    adapter: AdapterFile | None,
    trainer: TrainerSettings,
    serving: ServingSettings,
    progress: Callable[[int, int], None] = lambda done, total: None,
    pictures: PicturesOf = lambda row: (),
) -> list[float]:
    """The mean loss of each row's own values under `adapter`, None for the base.

    Args:
        rows: listings with the values that sellers submitted.
        adapter: of the base model that `serving` names.
        trainer: `max_length`, and the seed that splits a listing's attributes, as in training.
        serving: the base, its number type and device, and how a listing is asked.
        progress: told (listings done, listings in all) after each.
        pictures: what was seen of a listing; an adapter that cannot see goes by the text.

    Returns:
        Nats a label token, in the rows' order; 0 for a listing without a value to learn.

    Raises:
        ModelRefused: the base model cannot be used.
    """
    if serving.threads:
        torch.set_num_threads(serving.threads)
    base = load_base(serving, serving.base_model)
    model = merge(base.model, adapter) if adapter else base.model
    projector = parent_projector(base, adapter)
    eyes = base.eyes if base.sight is None or projector is not None else None
    builder = PromptBuilder(base.vocabulary, serving)
    losses = []
    for row in rows:
        rng = random.Random(f"loss {trainer.seed} {row.listing.listing_id}")
        seen = eyes.see(pictures(row)) if eyes else []
        tree = pack(row, builder, rng, trainer.max_length, pictures=seen)
        loss = 0.0
        if tree.label_tokens:
            batch = collate([tree]).to(base.device)
            loss = SummedLoss(model, projector)(batch).item() / tree.label_tokens
        losses.append(loss)
        progress(len(losses), len(rows))
    return losses
