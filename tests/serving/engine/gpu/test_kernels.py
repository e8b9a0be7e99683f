"""Kernels compute what PyTorch does, by Triton's interpreter; where they cannot, PyTorch does."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from serving.engine.gpu import adapters, attention
from serving.engine.gpu.adapters import AdapterTable
from serving.engine.gpu.choice import check_adapters, choose_passes, first_pages, own_passes
from serving.engine.gpu.graphs import LISTED_PAGES, ROWS, room_for
from serving.engine.gpu.told import BLOCK_ROWS, PROGRAM, QUERIES, Needed, Room, Told, programs
from serving.engine.lora import GROUPS, Lora, Segment
from serving.engine.pages import FIRST_PAGES, PAGE
from serving.engine.tree_attention import Chunk
from serving.engine.tree_cache import PlainPasses
from serving.errors import ModelRefused

REPOSITORY = Path(__file__).parents[4]
ROUNDING = {"float32": 1e-6, "float16": 1e-3}


@pytest.fixture(scope="module")
def printed():
    """What the kernels give by Triton's interpreter, which a process has from its start or not."""
    command = [sys.executable, "-m", "tests.serving.engine.gpu.run_kernels"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.slow
def test_the_kernels_give_what_pytorch_gives_on_random_passes(printed):
    lines = [line.split() for line in printed[:-3]]
    assert len(lines) == 10
    for *case, dtype, difference in lines:
        assert float(difference) < ROUNDING[dtype], case


@pytest.mark.slow
def test_recorded_passes_give_what_pytorch_gives_while_pages_and_the_adapter_table_grow(printed):
    _, recorded, _, difference = printed[-3].split()
    assert int(recorded) > 2
    assert float(difference) < 1e-5  # through all layers


@pytest.mark.slow
def test_what_was_not_recorded_is_launched_and_so_is_all_once_recording_fails(printed):
    assert printed[-2].split("|") == [
        "8 for all sizes", "small replayed", "far launched", "large launched", "full replayed",
        "failing launched", "failing launched",
    ]  # fmt: skip


@pytest.mark.slow
def test_what_is_chosen_has_the_logits_of_the_model_recorded_only_where_that_works(printed):
    # A body and a head, twice.
    assert printed[-1] == "KernelPasses|GraphPasses|4 recorded"


BF16, FP32 = "*bf16", "*fp32"


@pytest.mark.slow
@pytest.mark.parametrize("number", [BF16, FP32])
@pytest.mark.parametrize("kernel", ["attend", "shrink", "expand"])
def test_the_kernels_compile_for_an_h100_without_one(kernel, number, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    precision = {"PRECISION": "tf32" if number == BF16 else "ieee"}
    # SmolLM2-135M's heads, and adapters of rank 32 (three of them side by side in qkv).
    function, numbers, constants = {
        "attend": (
            attention.attend,
            {"told": "*i32", "table": "*i32", "scale": "fp32"},
            {
                "KV_HEADS": 3, "PER_KV": 3, "PER_KV_PADDED": 4, "SIZE": 64, "SIZE_PADDED": 64,
                "TOLD": PROGRAM, "QUERIES": QUERIES, "PAGE": PAGE,
                "PAGES_AT_ONCE": attention.PAGES_AT_ONCE,
            },
        ),
        "shrink": (
            adapters.shrink,
            {"blocks": "*i32", "pairs": "*i64", "inner": "i32"},
            {"ROWS": BLOCK_ROWS, "RANK": 128, "INNER": adapters.INNER},
        ),
        "expand": (
            adapters.expand,
            {"blocks": "*i32", "pairs": "*i64", "outer": "i32", "apart": "i32"},
            {"ROWS": BLOCK_ROWS, "RANK": 128, "OUTER": adapters.OUTER},
        ),
    }[kernel]  # fmt: skip
    constants |= precision
    signature = {
        name: "constexpr" if name in constants else numbers.get(name, number)
        for name in function.arg_names
    }
    places = {(function.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=function, signature=signature, constexprs=places)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert made.asm["cubin"]
    assert made.metadata.shared < 227 * 1024  # what a block of an H100 can have


def test_a_branch_of_many_rows_is_several_programs_and_none_reads_pages_that_it_does_not_see():
    own = [9, 8, 7, 6]
    count = QUERIES + 3
    chunk = Chunk(
        tokens=PAGE + 1, trunk=[1, 2], branches=[own], slots=[5], counts=[count], rows=[40]
    )
    told, table = programs([chunk])
    assert told.reshape(-1, PROGRAM).tolist() == [
        [40, QUERIES, PAGE + 1, 2, 0, 5, 2, 2],
        [40 + QUERIES, 3, PAGE + 1, 2, 0, 5 + QUERIES, 2, 2],
    ]
    assert table.tolist() == [1, 2, *own]


def test_a_pass_goes_through_the_smallest_recorded_one_that_holds_it():
    assert room_for(Room(rows=17, programs=3, blocks=1, pages=40)).rows == 32
    assert room_for(Room(rows=17, programs=3, blocks=1, pages=LISTED_PAGES + 16 * 33)).rows == 48
    assert room_for(Room(rows=ROWS[-1] + 1, programs=1, blocks=0, pages=1)) is None


def test_what_fills_a_room_is_told_again_after_a_larger_pass():
    told = Told(Room(rows=4, programs=4, blocks=2, pages=8), torch.device("cpu"))
    for branches in (3, 1):
        branch = list(range(branches))
        chunk = Chunk(0, (), [[3]] * branches, slots=branch, counts=[1] * branches, rows=branch)
        told.tell(Needed([5] * branches, [3] * branches, branch, [chunk]), branch, nowhere=9)
    assert told.ids.tolist() == [5, 0, 0, 0]
    assert told.pages.tolist() == [3, 9, 9, 9]
    assert told.offsets.tolist() == [0, 0, 0, 0]
    assert told.programs[0].tolist() == [0, 1, 0, 0, 0, 0, 1, 0]
    assert told.programs[1:].tolist() == [[0] * PROGRAM] * 3


def lora(name, rank=2):
    pair = torch.zeros(4, rank), torch.zeros(rank, 4)
    return Lora(name, {(0, "out"): pair})


def slots(table, *loras):
    return table.slots([Segment(0, 1, one) for one in loras])


def test_an_adapter_keeps_its_slot_and_one_that_nobody_holds_leaves_it():
    table = AdapterTable(1, torch.device("cpu"), slots=2)
    held, gone = lora("held"), lora("gone")
    first = slots(table, held, gone)
    assert slots(table, gone, held) == first[::-1]
    del gone
    assert slots(table, lora("new"), held) == first[::-1]
    assert table.reach.slots == 2


def test_an_adapter_that_is_read_again_lies_elsewhere_and_has_its_slot_told_again():
    table = AdapterTable(1, torch.device("cpu"), slots=2)
    before = slots(table, lora("one"))
    again = lora("one")
    assert slots(table, again) == before
    place = list(GROUPS).index("out")
    assert table.pairs[place, before[0]].tolist() == again.addresses[place].tolist()


def test_the_table_grows_and_keeps_what_it_had():
    table = AdapterTable(1, torch.device("cpu"), slots=1)
    held = [lora(str(number), rank=number) for number in range(1, 6)]
    assert len(set(slots(table, *held))) == 5
    place = list(GROUPS).index("out")
    for one in held:
        [slot] = slots(table, one)
        assert table.pairs[place, slot].tolist() == one.addresses[place].tolist()


def test_the_kernels_know_few_ranks():
    table = AdapterTable(1, torch.device("cpu"))
    wide, narrow = lora("wide", 40), lora("narrow", 3)
    slots(table, narrow)
    assert set(table.reach.ranks) == {0, 16}
    slots(table, wide)
    assert set(table.reach.ranks) == {0, 64}


def test_on_a_cpu_pytorch_computes_passes(base):
    assert choose_passes(base.decoder, base.model) is PlainPasses
    assert first_pages(base.decoder.shape) == FIRST_PAGES


def test_where_the_kernels_do_not_run_pytorch_does_it_and_a_sentence_says_so(base, caplog):
    assert own_passes(base.decoder, base.model) is PlainPasses
    assert "passes are computed by PlainPasses: " in caplog.text


def test_adapters_that_a_kernel_adds_wrongly_are_noticed(base, monkeypatch):
    class Doubled:
        def __init__(self, table, blocks):
            pass

        def add(self, y, x, layer, group):
            return y.add_(1)

    monkeypatch.setattr(adapters, "BesideAdapters", Doubled)
    with pytest.raises(ModelRefused, match="adapters by the kernel differ by"):
        check_adapters(base.decoder.shape)
