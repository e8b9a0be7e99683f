"""The gradient of a step: over the trees of this process, then over all processes.

It is a plain sum, so it does not matter how the trees are cut into passes, and a pass for which
memory does not suffice is made again in two halves. `torch.autograd.grad` hands a pass's gradient
over whole or not at all: one that broke off leaves nothing behind to be counted twice. Only LoRA's
few weights have a gradient; exchanging it once a step costs nothing beside the passes.
"""

import logging
from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from trainer.errors import TrainingError
from trainer.loss import SummedLoss
from trainer.packing import PackedTree, collate

logger = logging.getLogger(__name__)


class Gradient:
    """Computes losses and their gradients, in passes as large as memory allows."""

    def __init__(
        self,
        loss: SummedLoss,
        parameters: Sequence[torch.nn.Parameter],
        dtype: torch.dtype,
        accelerator: Accelerator,
    ) -> None:
        """`dtype` is the number type of matrix products; gradients are fp32."""
        self._loss = loss
        self._parameters = parameters
        self._dtype = dtype
        self._accelerator = accelerator
        self._most: int | None = None  # trees a pass, once memory did not suffice for more

    def __call__(self, micro_batches: Sequence[Sequence[PackedTree]]) -> torch.Tensor:
        """Set `grad` of the parameters to the gradient of the loss summed over all processes.

        Returns:
            that loss, in nats, shape ().

        Raises:
            TrainingError: memory does not suffice for one tree.
        """
        count = sum(parameter.numel() for parameter in self._parameters)
        # The loss travels with the gradient: one exchange a step.
        summed = torch.zeros(count + 1, device=self._accelerator.device)
        for trees in micro_batches:
            while trees:
                size = min(len(trees), self._most or len(trees))
                made = self._pass(trees[:size])
                if made is not None:
                    summed += made
                    trees = trees[size:]
                    continue
                if size == 1:
                    raise TrainingError(
                        "memory does not suffice for one listing; switch on "
                        "gradient_checkpointing, or lower max_length or max_trunk_tokens"
                    )
                self._most = size // 2
                clear_device_cache(garbage_collection=True)
                logger.warning("out of memory: from here on at most %d listings a pass", self._most)
        summed = self._accelerator.reduce(summed, "sum")
        sizes = [parameter.numel() for parameter in self._parameters]
        for parameter, part in zip(self._parameters, summed[1:].split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        return summed[0]

    def _pass(self, trees: Sequence[PackedTree]) -> torch.Tensor | None:
        """Loss and gradient of `trees`, laid end to end; None where memory does not suffice."""
        device = self._accelerator.device
        try:
            batch = collate(trees).to(device)
            mixed = self._dtype is torch.bfloat16
            with torch.autocast(device.type, self._dtype, enabled=mixed):
                loss = self._loss(batch)
            gradient = torch.autograd.grad(loss, self._parameters)
        except RuntimeError as error:
            if should_reduce_batch_size(error):
                return None
            raise
        return torch.cat([loss.detach().view(1), *(part.flatten() for part in gradient)])
