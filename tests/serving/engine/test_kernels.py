"""Kernels compute what PyTorch does, by Triton's interpreter; where they cannot, PyTorch does."""

import subprocess
import sys
from pathlib import Path

import pytest
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from serving.engine import lora_kernel, tree_kernel
from serving.engine.kernel_choice import check_adapters, choose_kernels, own_kernels
from serving.engine.lora import add_lora
from serving.engine.pages import PAGE
from serving.engine.tree_attention import Chunk
from serving.engine.tree_cache import PYTORCH, Kernels
from serving.engine.tree_kernel import QUERIES, programs
from serving.errors import ModelRefused

REPOSITORY = Path(__file__).parents[3]
ROUNDING = {"float32": 1e-6, "float16": 1e-3}


@pytest.mark.slow
def test_the_kernels_give_what_pytorch_gives_on_random_passes():
    command = [sys.executable, "-m", "tests.serving.engine.run_kernels"]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert len(lines) == 19
    for *case, dtype, difference in lines[:-1]:
        assert float(difference) < ROUNDING[dtype], case
    # With it, the whole decoder has the logits of the model.
    assert lines[-1] == ["KernelAttention"]


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
            tree_kernel.attend,
            {"told": "*i32", "table": "*i32", "most_pages": "i32", "scale": "fp32"},
            {
                "KV_HEADS": 3, "PER_KV": 3, "PER_KV_PADDED": 4, "SIZE": 64, "SIZE_PADDED": 64,
                "QUERIES": QUERIES, "PAGE": PAGE, "PAGES_AT_ONCE": tree_kernel.PAGES_AT_ONCE,
            },
        ),
        "shrink": (
            lora_kernel.shrink,
            {"blocks": "*i32", "pairs": "*i64", "inner": "i32", "widest": "i32"},
            {"ROWS": lora_kernel.ROWS, "RANK": 128, "INNER": lora_kernel.INNER},
        ),
        "expand": (
            lora_kernel.expand,
            {"blocks": "*i32", "pairs": "*i64", "outer": "i32", "widest": "i32", "apart": "i32"},
            {"ROWS": lora_kernel.ROWS, "RANK": 128, "OUTER": lora_kernel.OUTER},
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
    told, tables = programs([chunk])
    assert told == [
        [40, QUERIES, PAGE + 1, 2, 5, 4],
        [40 + QUERIES, 3, PAGE + 1, 2, 5 + QUERIES, 4],
    ]
    assert tables == [[1, 2, 9, 8], [1, 2, 9, 8]]


def test_on_a_cpu_pytorch_computes_passes(base):
    assert choose_kernels(base.decoder, base.model) is PYTORCH


def test_where_the_kernels_do_not_run_pytorch_does_it_and_a_sentence_says_so(base, caplog):
    assert own_kernels(base.decoder, base.model) is PYTORCH
    assert "passes by PyTorch's operations, and not by kernels of our own: " in caplog.text


def test_adapters_that_a_kernel_adds_wrongly_are_noticed(base):
    class Doubled:
        def __init__(self, segments, shape):
            self.segments = segments

        def add(self, y, x, layer, group):
            return add_lora(
                add_lora(y, x, self.segments, layer, group), x, self.segments, layer, group
            )

    with pytest.raises(ModelRefused, match="adapters by the kernel differ by 100"):
        check_adapters(Kernels(PYTORCH.attending, Doubled), base.decoder.shape)
    check_adapters(PYTORCH, base.decoder.shape)
