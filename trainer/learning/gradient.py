"""The gradient of a step: over the trees of this process, then over all processes.

It is a plain sum, so it does not matter how the trees are cut into passes, and a pass for which
memory does not suffice is made again in two halves. `torch.autograd.grad` hands a pass's gradient
over whole or not at all: one that broke off leaves nothing behind to be counted twice. Only LoRA's
few weights have a gradient; exchanging it once a step costs nothing beside the passes.

On a CPU a pass consists of thousands of products too small to occupy many cores, so passes are made
side by side, each with its share of the cores: on two cores 1.5 to 1.8 times as fast as one after
the other with both cores.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from trainer.errors import TrainingError
from trainer.learning.packing import PackedTree, collate
from trainer.learning.tree_loss import SummedLoss

logger = logging.getLogger(__name__)

Pass = Sequence[PackedTree]


class Gradient:
    """Computes losses and their gradients, in passes as large as memory allows."""

    def __init__(
        self,
        loss: SummedLoss,
        parameters: Sequence[torch.nn.Parameter],
        dtype: torch.dtype,
        accelerator: Accelerator,
        at_once: int = 1,
    ) -> None:
        """Args:
        loss: of the model that trains.
        parameters: what the gradient is taken of.
        dtype: number type of matrix products; gradients are fp32.
        accelerator: the processes that share a step.
        at_once: how many passes may be made side by side, each in a thread of its own. All threads
            draw from one random generator: above 1, dropout differs from run to run.
        """
        self.loss = loss
        self._parameters = parameters
        self._dtype = dtype
        self._accelerator = accelerator
        self._at_once = at_once
        self._most: int | None = None  # trees a pass, once memory did not suffice for more

    def __call__(self, micro_batches: Sequence[Pass]) -> torch.Tensor:
        """Set `grad` of the parameters to the gradient of the loss summed over all processes.

        Returns:
            that loss, in nats, shape ().

        Raises:
            TrainingError: memory does not suffice for one tree.
        """
        count = sum(parameter.numel() for parameter in self._parameters)
        # The loss travels with the gradient: one exchange a step.
        summed = torch.zeros(count + 1, device=self._accelerator.device)
        left = micro_batches
        if min(self._at_once, len(micro_batches)) > 1:
            left = self._add_side_by_side(micro_batches, summed)
        for trees in left:
            self._add(trees, summed)
        summed = self._accelerator.reduce(summed, "sum")
        sizes = [parameter.numel() for parameter in self._parameters]
        for parameter, part in zip(self._parameters, summed[1:].split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        return summed[0]

    def _add_side_by_side(self, passes: Sequence[Pass], summed: torch.Tensor) -> list[Pass]:
        """Add all passes to `summed`; returns those for which memory did not suffice."""
        threads = min(self._at_once, len(passes))
        left = []
        # The longest first, so that the last one leaves the other cores idle for the least time.
        longest_first = sorted(passes, key=_tokens, reverse=True)
        with _cores_shared(threads) as share, ThreadPoolExecutor(threads, "pass", share) as pool:
            # In this order, too: rounding does not depend on which is done first.
            made_in_turn = pool.map(self._pass, longest_first)
            for trees, made in zip(longest_first, made_in_turn, strict=True):
                if made is None:
                    left.append(trees)
                else:
                    summed += made
        if left:
            self._at_once = 1
            logger.warning("out of memory: from here on one pass at a time")
        return left

    def _add(self, trees: Pass, summed: torch.Tensor) -> None:
        """Add a pass to `summed`, in as many parts as memory demands."""
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

    def _pass(self, trees: Pass) -> torch.Tensor | None:
        """Loss and gradient of `trees`, laid end to end; None where memory does not suffice."""
        device = self._accelerator.device
        try:
            batch = collate(trees).to(device)
            mixed = self._dtype is torch.bfloat16
            with torch.autocast(device.type, self._dtype, enabled=mixed):
                loss = self.loss(batch)
            # A pass without pictures leaves a projector out: its gradient is 0.
            gradient = torch.autograd.grad(
                loss, self._parameters, allow_unused=True, materialize_grads=True
            )
        except RuntimeError as error:
            if should_reduce_batch_size(error):
                return None
            raise
        return torch.cat([loss.detach().view(1), *(part.flatten() for part in gradient)])


def _tokens(trees: Pass) -> int:
    return sum(len(tree.ids) for tree in trees)


@contextmanager
def _cores_shared(threads: int) -> Iterator[Callable[[], None]]:
    """Gives what each of `threads` threads begins with, to have its share of the cores."""
    cores = torch.get_num_threads()
    share = max(cores // threads, 1)
    try:
        # The setting is a thread's own with OpenMP and everybody's with MKL.
        yield lambda: torch.set_num_threads(share)
    finally:
        torch.set_num_threads(cores)
