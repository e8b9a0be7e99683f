"""What computes passes on a GPU: kernels of our own, recorded, where they are right there.

None of this has run on a GPU by its authors. So it is compared at the start with the stock model
and with PyTorch's products; where it does not compile, does not run or differs by more than
rounding, PyTorch's operations serve, and the log says why.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch

from serving.engine.backend import AnyBackend
from serving.engine.decoder import Decoder
from serving.engine.decoder_check import CHECK_TOLERANCE, check
from serving.engine.lora import Beside, Lora, Segment, add_lora
from serving.engine.pages import FIRST_PAGES, PAGE, Pages
from serving.engine.shape import Shape
from serving.engine.torch_backend import TorchBackend
from serving.engine.tree_cache import Passes, PlainPasses
from serving.errors import ModelRefused
from serving.prompt import Trunk

logger = logging.getLogger(__name__)

CHECKED_TOKENS = 200
"""Half of them a trunk, half a branch: several pages of each, and several programs a branch."""

CHECKED_ADAPTERS = ((3, 8), (40, 32), (1, 20))
"""Rows and rank of each: fewer rows than a program has and more, ranks of all kinds."""

LISTINGS, PAGES_OF_LISTING = 64, 160
"""Pages are made for so many at the start, since passes are recorded again when they grow: a
listing of 50 attributes takes two a branch and some for its trunk."""

MakePasses = Callable[[Pages], Passes]


def choose_passes(decoder: Decoder, model: Any) -> MakePasses:
    """What computes passes of `decoder`, whose weights are those of `model`."""
    return own_passes(decoder, model) if decoder.shape.device.type == "cuda" else PlainPasses


def own_passes(decoder: Decoder, model: Any) -> MakePasses:
    """Ours: recorded, or launched, or none of them, by what is right here."""
    chosen: MakePasses = PlainPasses
    try:
        from serving.engine.gpu.graphs import GraphPasses
        from serving.engine.gpu.passes import KernelPasses

        check(TorchBackend(decoder, passes=KernelPasses), model, tokens=CHECKED_TOKENS)
        for modules in (1, 3):  # three modules' A lie side by side in qkv
            check_adapters(decoder.shape, modules)
        chosen = KernelPasses
        # Twice to record, and twice more by what was recorded.
        recorded = TorchBackend(decoder, passes=GraphPasses)
        for _ in range(4):
            check(recorded, model, tokens=CHECKED_TOKENS)
        chosen = GraphPasses
    except Exception as error:  # a compiler's, a driver's, or that they are wrong
        logger.warning("passes are computed by %s: %s", chosen.__name__, error)
    else:
        logger.info("passes are computed by %s", chosen.__name__)
    return chosen


@torch.inference_mode()
def check_adapters(shape: Shape, modules: int = 1) -> None:
    """Compare the share of several random adapters with what PyTorch's products give.

    `modules` of each are multiplied at once. The kernels are compiled for their usual ranks here,
    and not while somebody waits for an answer.

    Raises:
        ModelRefused: they differ by more than rounding.
    """
    from serving.engine.gpu.adapters import AdapterTable, BesideAdapters
    from serving.engine.gpu.told import blocks

    generator = torch.Generator().manual_seed(0)

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator).to(shape.device, shape.dtype)

    inner, group = shape.heads * shape.head_size, "out"
    segments, start = [], 1
    for rows, of_module in CHECKED_ADAPTERS:
        rank = modules * of_module
        pair = (random(inner, rank) / inner**0.5, random(rank, 2 * inner))
        segments.append(Segment(start, start + rows, Lora(str(rank), {(0, group): pair})))
        start += rows
    table = AdapterTable(1, shape.device)
    told = torch.from_numpy(blocks(segments, table.slots(segments))).to(shape.device)
    x = random(start + 1, inner)

    def added(beside: Beside) -> torch.Tensor:
        nothing = torch.zeros(start + 1, 2 * inner, dtype=shape.dtype, device=shape.device)
        return add_lora(nothing, x, beside, 0, group).float()

    ours, theirs = added(BesideAdapters(table, told.view(-1, 3))), added(segments)
    error = float((ours - theirs).norm() / theirs.norm())
    if not error < CHECK_TOLERANCE[shape.dtype]:
        raise ModelRefused(f"adapters by the kernel differ by {error:.1%}")


def first_pages(shape: Shape) -> int:
    """Pages to begin with: on a GPU for many listings, in at most half of what memory is free."""
    if shape.device.type != "cuda":
        return FIRST_PAGES
    of_page = 2 * shape.layers * shape.kv_heads * shape.head_size * PAGE * shape.dtype.itemsize
    free, _ = torch.cuda.mem_get_info(shape.device)
    return max(FIRST_PAGES, min(LISTINGS * PAGES_OF_LISTING, free // 2 // of_page))


@torch.inference_mode()
def record_all(backend: AnyBackend) -> None:
    """A pass of each size that is recorded, so that nobody waits for it later."""
    from serving.engine.gpu.graphs import ROWS

    for rows in (rows for rows in ROWS for _ in range(2)):
        tokens = tuple([0] * rows)
        trunk = Trunk(tokens, range(rows), rows)
        made = backend.begin()
        made.add(backend.cache(trunk, 0), trunk, [])
        made.run(range(rows))
