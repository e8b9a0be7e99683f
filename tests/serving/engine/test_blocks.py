"""The compiled decoder's keys and values take no more memory than is written."""

import psutil
import pytest

ov = pytest.importorskip("openvino")
blocks = pytest.importorskip("serving.engine.openvino.blocks")
graph = pytest.importorskip("serving.engine.openvino.graph")

SIZES = graph.Sizes(
    layers=10, hidden=192, heads=3, kv_heads=3, head_size=64, vocabulary=8, scale=0.1, epsilon=1e-5
)
BLOCK_MB = 2 * 10 * 3 * 32 * 64 * 4 / 1e6


def resident_mb():
    return psutil.Process().memory_info().rss / 1e6


@pytest.mark.slow
def test_blocks_that_grew_take_memory_where_they_are_written_and_what_is_outgrown_goes():
    before = resident_mb()
    held = blocks.Blocks(SIZES, ov.Type.f32, first=64)
    assert resident_mb() - before < 3
    taken, others = [], []
    while len(taken) < 300:
        taken += held.take(1)
        others.append(bytes(30_000))  # so that what is freed is not the end of the heap
        if len(taken) > 1:
            held.copy(taken[0], graph.BLOCK, taken[-1:])
    assert held.count > 300
    assert resident_mb() - before < 1.1 * 300 * BLOCK_MB + 9
