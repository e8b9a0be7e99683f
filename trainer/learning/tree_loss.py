"""The loss of packed trees, on the answers' tokens alone.

The body gives hidden states for all tokens; the head, whose vocabulary is the widest matrix of a
small model, sees only those that predict a label.
"""

from dataclasses import replace
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn import functional

from serving.engine.eyes.projector import Projector
from trainer.learning import tree_attention
from trainer.learning.packing import Batch
from trainer.learning.tree_attention import TreeLayout


class SummedLoss(nn.Module):
    """A causal language model with its loss, the cross entropy summed over a batch's labels.

    From then on the model attends in trees, and can do nothing else.
    """

    def __init__(
        self, model: Any, projector: Projector | None = None, picture_bias: float = 0.0
    ) -> None:
        """Args:
        model: of transformers, with or without eyes, with or without LoRA of peft.
        projector: makes rows of an encoder's features; None where they are rows as they are.
        picture_bias: added to attention's scores against pictures' rows; may be set anew.
        """
        super().__init__()
        self.projector = projector
        self.picture_bias = picture_bias
        plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        self.body = plain.get_decoder()
        self.body.set_attn_implementation(tree_attention.NAME)  # eyes attend as before
        self.head = plain.get_output_embeddings()

    def forward(self, batch: Batch) -> torch.Tensor:
        """The loss in nats, each label's by its weight, shape ()."""
        hidden = self.body(
            **self._inputs(batch),
            position_ids=batch.positions,
            tree=self._tree(batch),
            use_cache=False,
        ).last_hidden_state
        logits = self.head(hidden[0, batch.predicting])
        if batch.weights is None:
            return functional.cross_entropy(logits.float(), batch.labels, reduction="sum")
        losses = functional.cross_entropy(logits.float(), batch.labels, reduction="none")
        # Not as a product of vectors, which autocast would compute in bfloat16.
        return (losses * batch.weights).sum()

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        """The token ids; or embeddings, where some rows come from pictures."""
        seen = batch.seen
        if seen is None:
            return {"input_ids": batch.ids}
        embeddings = self.body.get_input_embeddings()(batch.ids)
        features = seen.features
        if self.projector is not None:
            # All pictures have as many rows.
            features = self.projector(features.unflatten(0, (-1, self.projector.sight.rows)))
        rows = features.flatten(0, -2).to(embeddings.dtype)
        inputs = {"inputs_embeds": embeddings.index_copy(1, seen.rows, rows[None])}
        if seen.deep:
            places = torch.zeros_like(batch.ids, dtype=torch.bool)
            places[0, seen.rows] = True
            inputs |= {"visual_pos_masks": places, "deepstack_visual_embeds": list(seen.deep)}
        return inputs

    def _tree(self, batch: Batch) -> TreeLayout:
        """The layout, with the bias of the rows that come from pictures."""
        if batch.seen is None or not self.picture_bias:
            return batch.tree
        bias = torch.zeros(batch.ids.shape[1], device=batch.ids.device)
        bias[batch.seen.rows] = self.picture_bias
        return replace(batch.tree, bias=bias)
