"""Compares the kernels with PyTorch's operations on random passes; for a process of its own.

Triton decides when it is imported whether its interpreter runs kernels. Prints a line for each
case: how far the results differ, relative to their length. Then what computes a whole decoder.
"""

import os

os.environ["TRITON_INTERPRET"] = "1"

import random
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from serving.engine.decoder import Decoder
from serving.engine.gpu import choice, graphs
from serving.engine.gpu.adapters import AdapterTable, BesideAdapters
from serving.engine.gpu.attention import KernelAttention
from serving.engine.gpu.choice import own_passes, record_all
from serving.engine.gpu.graphs import GraphPasses
from serving.engine.gpu.passes import KernelPasses
from serving.engine.gpu.told import Needed, Told, blocks
from serving.engine.lora import GROUPS, Lora, Segment, add_lora
from serving.engine.pages import PAGE, Pages
from serving.engine.shape import Shape
from serving.engine.torch_backend import TorchBackend
from serving.engine.tree_attention import Attention, Chunk, grouped, parted
from serving.engine.tree_cache import trunk_chunks
from serving.prompt import Trunk

CPU = torch.device("cpu")

SHAPES = ((4, 2, 16), (9, 3, 64), (6, 6, 24), (8, 1, 32))
"""Query heads, kv heads, head size."""


def random_pass(pages: Pages, rng: random.Random) -> tuple[list[tuple[int, int]], list[Chunk]]:
    """Where each row is kept, and who attends to what: new trunks, and branches of older ones."""
    written: list[tuple[int, int]] = []
    chunks: list[Chunk] = []
    for tree in range(3):
        tokens = rng.randint(1, 5 * PAGE)
        trunk = pages.take(-(-tokens // PAGE))
        if tree == 0:
            chunks += trunk_chunks(trunk, tokens, len(written))
            written += [(trunk[t // PAGE], t % PAGE) for t in range(tokens)]
        branches, slots, counts, rows = [], [], [], []
        for _ in range(rng.randint(1, 4)):
            slot, count = rng.randint(0, 2 * PAGE), rng.choice((1, 1, 2, 7, 19))
            own = pages.take(-(-(slot + count) // PAGE) + rng.randint(0, 1))
            rows.append(len(written))
            written += [(own[s // PAGE], s % PAGE) for s in range(slot, slot + count)]
            branches.append(own)
            slots.append(slot)
            counts.append(count)
        chunks.append(Chunk(tokens, trunk, branches, slots, counts, rows))
    return written, chunks


def difference(shape: tuple[int, int, int], dtype: torch.dtype, seed: int) -> float:
    """Of the kernel's results from PyTorch's in fp32."""
    heads, kv_heads, size = shape
    torch.manual_seed(seed)
    made = []
    for number_type in (torch.float32, dtype):
        pages = Pages(Shape(1, heads, kv_heads, size, size**-0.5, number_type, CPU))
        written, chunks = random_pass(pages, random.Random(seed))
        made.append((pages, written, chunks))
    qkv = torch.randn(len(made[0][1]), heads + 2 * kv_heads, size).to(dtype)
    held = torch.randn_like(made[0][0].of_layer(0)).to(dtype)  # what earlier passes have kept
    for pages, _, _ in made:
        pages.of_layer(0).copy_(held)
    (exact, written, chunks), (own, *_) = made
    page, offset = zip(*written, strict=True)
    alike = [part for chunk in chunks for part in parted(chunk)]
    expected = Attention(exact, page, offset, grouped(alike))(0, qkv.float())
    needed = Needed([0] * len(page), page, offset, chunks)
    told = Told(needed.room.rounded(), CPU)
    [nowhere] = own.take(1)
    told.tell(needed, (), nowhere)
    padding = qkv.new_full((told.room.rows - len(qkv), *qkv.shape[1:]), float("nan"))
    given = KernelAttention(own, told)(0, torch.cat([qkv, padding]))[: len(qkv)].float()
    return float((given - expected).norm() / expected.norm())


def tiny_model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def chosen() -> list[str]:
    """What is chosen for a tiny model where nothing can be recorded, and where it can: the logits
    with it are compared."""
    model = tiny_model()
    choice.CHECKED_TOKENS, graphs.ROWS = 40, (48,)  # the interpreter takes its time
    names = [own_passes(Decoder(model), model).__name__]
    recorded: list[Any] = []
    graphs.on_cuda = lambda work: recorded.append(work) or work
    names.append(own_passes(Decoder(model), model).__name__)
    return [*names, f"{len(recorded)} recorded"]


SIZES = {"qkv": (48, 80), "out": (48, 48), "gate": (48, 100), "up": (48, 100), "down": (100, 48)}
"""In and out of each group."""


def adapters_differ(dtype: torch.dtype) -> float:
    """What adapters add, by the kernels, from what PyTorch adds in fp32: the greatest difference.

    They have other ranks, other groups, and stretches with rows of none between them.
    """
    torch.manual_seed(0)
    made = []
    for rank, groups, start, stop in (
        (4, list(GROUPS), 2, 5),
        (20, ["qkv", "down"], 5, 40),
        (33, ["qkv"], 41, 60),
    ):
        pairs = {
            (layer, group): (
                torch.randn(SIZES[group][0], rank) / 8,
                torch.randn(rank, SIZES[group][1]) / 8,
            )
            for layer in range(2)
            for group in groups
        }
        made.append((start, stop, pairs))

    def segments(number_type: torch.dtype) -> list[Segment]:
        def typed(pairs: dict[Any, Any]) -> Lora:
            return Lora(
                str(id(pairs)),
                {key: (a.to(number_type), b.to(number_type)) for key, (a, b) in pairs.items()},
            )

        return [Segment(start, stop, typed(pairs)) for start, stop, pairs in made]

    exact, own = segments(torch.float32), segments(dtype)
    table = AdapterTable(2, CPU, slots=2)  # fewer than needed
    told = torch.from_numpy(blocks(own, table.slots(own))).view(-1, 3)
    # What fills a room: an empty block of a slot that has nobody's matrices.
    kernel = BesideAdapters(table, torch.cat([told, told.new_tensor([[0, 0, 3]])]))
    differences = []
    for layer in range(2):
        for group, (inner, outer) in SIZES.items():
            x, y = torch.randn(64, inner).to(dtype), torch.randn(64, outer).to(dtype)
            expected = add_lora(y.clone().float(), x.float(), exact, layer, group)
            given = add_lora(y.clone(), x, kernel, layer, group).float()
            differences.append(float((given - expected).norm() / expected.norm()))
    return max(differences)


def random_lora(rng: torch.Generator, rank: int, groups: list[str]) -> Lora:
    """An adapter of the tiny model."""
    sizes = {"qkv": (64, 128), "out": (64, 64), "gate": (64, 96), "up": (64, 96), "down": (96, 64)}
    pairs = {
        (layer, group): (
            torch.randn(sizes[group][0], rank, generator=rng) / 8,
            torch.randn(rank, sizes[group][1], generator=rng) / 8,
        )
        for layer in range(2)
        for group in groups
    }
    return Lora(f"rank {rank}", pairs)


def recorded_differ() -> tuple[float, int]:
    """Of recorded passes from PyTorch's operations: the greatest difference of logits, and how many
    passes were recorded. Pages grow meanwhile, and so does the adapter table."""
    graphs.ADAPTER_STRETCHES = 4  # the interpreter takes its time for empty blocks, too
    rng, generator = random.Random(1), torch.Generator().manual_seed(1)
    decoder = Decoder(tiny_model())
    made: list[GraphPasses] = []
    pages: list[Pages] = []
    recordings = []

    def addresses() -> tuple[int, ...]:
        """Of what a recorded pass reads and grows."""
        table = made[0]._launched.adapters.pairs
        return (table.data_ptr(), *(pages[0].of_layer(layer).data_ptr() for layer in range(2)))

    def record(work: Any) -> Any:
        held = addresses()
        of_head = "told" not in work.__code__.co_freevars
        recordings.append(of_head)
        results = work()

        def replay() -> Any:
            assert of_head or addresses() == held, "it would read where nothing is any more"
            for result, new in zip(results, work(), strict=True):
                result.copy_(new)
            return results

        return replay

    def recorded(given: Pages) -> GraphPasses:
        pages.append(given)
        made.append(GraphPasses(given, record))
        made[0]._launched.adapters = AdapterTable(2, CPU, slots=1)
        return made[0]

    backends = [
        TorchBackend(decoder, first=8),
        TorchBackend(decoder, first=8, passes=recorded),
    ]
    loras = [
        None,
        random_lora(generator, 4, ["qkv", "down"]),
        random_lora(generator, 24, list(GROUPS)),
    ]
    trees: list[Any] = []
    worst, read = 0.0, []
    for turn in range(6):
        if turn < 3:
            ids = tuple(rng.randrange(300) for _ in range(rng.randint(3, 24)))
            trunk = Trunk(ids, range(len(ids)), len(ids))
            caches = [backend.cache(trunk, 3) for backend in backends]
            trees.append([caches, trunk, [0, 0, 0], loras[(turn + 1) % 3]])
        passes = [backend.begin() for backend in backends]
        for tree in trees[-turn:] if turn % 3 == 2 else trees:
            caches, new, fed, lora = tree
            branches = [n for n in range(3) if rng.random() < 0.7]
            told = [
                (n, fed[n], [rng.randrange(300) for _ in range(rng.choice((1, 1, 1, 2)))])
                for n in branches
            ]
            for one, cache in zip(passes, caches, strict=True):
                one.add(cache, new, told, lora)
            for n, _, ids in told:
                fed[n] += len(ids)
            tree[1] = None
        wanted = rng.sample(range(len(passes[0].ids)), min(9, len(passes[0].ids)))
        # Read when the next pass is on its way.
        read.append([one.run(wanted) for one in passes])
        if len(read) > 1:
            worst = max(worst, scores_differ(*read.pop(0), rng))
    return max(worst, scores_differ(*read.pop(), rng)), recordings.count(False)


def scores_differ(expected: Any, given: Any, rng: random.Random) -> float:
    """The difference of logits; the best tokens have to be the same."""
    for row in range(len(expected.logits)):
        assert given.best(row)[0] == expected.best(row)[0]
        some = sorted(rng.sample(range(300), 5))
        assert given.best_of(row, some)[0] == expected.best_of(row, some)[0]
    return float((given.logits - expected.logits).norm() / expected.logits.norm())


def beyond() -> list[str]:
    """What serves passes that none was recorded for, and those after recording has failed."""
    decoder = Decoder(tiny_model())
    served, failing = [], [False]

    class Launched(KernelPasses):
        def launch(self, *told: Any) -> Any:
            served.append("launched")
            return super().launch(*told)

    def record(work: Any) -> Any:
        if failing[0]:
            raise RuntimeError("out of memory")
        return lambda: served.append("replayed") or work()

    def made(pages: Pages) -> GraphPasses:
        passes = GraphPasses(pages, record)
        passes._launched = Launched(pages)
        return passes

    backend = TorchBackend(decoder, passes=made)

    def run(tokens: int, first: int = 0) -> None:
        trunk = Trunk(tuple([7] * tokens), range(first, first + tokens), first + tokens)
        one = backend.begin()
        one.add(backend.cache(trunk, 0), trunk, [])
        one.run([tokens - 1])

    graphs.ROWS = (16, 32)
    record_all(backend)
    told = [f"{len(served)} for all sizes"]
    for what, tokens, first in (
        ("small", 5, 0), ("far", 5, graphs.POSITIONS), ("large", 33, 0), ("full", 32, 0)
    ):  # fmt: skip
        served.clear()
        run(tokens, first)
        told.append(f"{what} {served[0]}")
    failing[0] = True
    backend.pages.take(backend.pages.free + 1)  # they grow
    for _ in range(2):
        served.clear()
        run(5)
        told.append(f"failing {served[0]}")
    return told


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    # The interpreter multiplies bf16 as if it were integers, so fp16 stands for half precision.
    for shape in SHAPES:
        for seed, dtype in enumerate((torch.float32, torch.float16)):
            print(*shape, str(dtype).removeprefix("torch."), difference(shape, dtype, seed))
    for dtype in (torch.float32, torch.float16):
        print("adapters", str(dtype).removeprefix("torch."), adapters_differ(dtype))
    worst, count = recorded_differ()
    print("recorded", count, "float32", worst)
    print(*beyond(), sep="|")
    print(*chosen(), sep="|")


if __name__ == "__main__":
    main()
