"""The serving benchmark on the tiny model: what is asked, and what each arm makes of it."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra import progress
from infra.cli.app import app
from infra.lab.bench import listings
from infra.lab.bench.results import begin
from infra.lab.bench.runner import run_job
from infra.lab.bench.serving import run as serving
from infra.lab.bench.serving.arm import LISTUNE, WAYS, ServingJob, carry_out
from infra.lab.bench.serving.gguf_file import interleave, tensor_name
from infra.lab.bench.serving.measuring import Measuring
from infra.lab.bench.serving.workload import LEAD, Workload, prepare
from schemas.errors import ListuneError

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[5]


def job(base: Path, workload: Workload, folder: Path, way: str, **options: str | int) -> ServingJob:
    path = folder / "workload.json"
    workload.write(path)
    return ServingJob(
        WAYS.get(way, LISTUNE),
        str(base),
        str(path),
        dict(options),
        listings=2,
        in_flight=2,
        crowd=2,
    )


def test_a_workload_is_read_back_as_it_was(workload: Workload, tmp_path: Path) -> None:
    workload.write(tmp_path / "w.json")
    assert Workload.read(tmp_path / "w.json") == workload


def test_branches_hold_every_question_once_and_the_json_prompt_begins_the_answer(
    tiny_base: Path, workload: Workload
) -> None:
    for plan in workload.plans:
        for batches, count in (("1", 1), ("4", 4), ("0", 8)):
            branches = plan.branches[batches]
            assert len(branches) == count
            assert sorted(q for branch in branches for q in branch) == list(range(8))
        text = listings.read_vocabulary(tiny_base).decode(plan.json_prompt)
        assert text.endswith(LEAD)


# --------------------------------------------------------------------------------------- the arms


@pytest.mark.parametrize("batches", [0, 4, 1])
def test_our_arm_measures_every_listing_alone_and_in_a_crowd(
    tiny_base: Path, workload: Workload, tmp_path: Path, batches: int
) -> None:
    options = {"mode": "free", "batches": batches, "dtype": "float32"}
    options |= {"decoder": "torch", "device": "cpu"}
    outcome = carry_out(job(tiny_base, workload, tmp_path, "listune", **options))
    assert len(outcome["seconds"]) == len(outcome["works"]) == 2
    assert all(work["tokens_computed"] > len(workload.plans[0].trunk) for work in outcome["works"])
    assert outcome["crowd"]["listings"] == len(outcome["crowd"]["finished"]) == 2
    assert outcome["settings"] == {"dtype": "float32", "decoder": "torch"}
    assert outcome["peak_memory_mb"] > 10


def test_the_naive_arm_writes_as_many_tokens_as_a_full_answer_has(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    asked = job(tiny_base, workload, tmp_path, "naive", dtype="float32")
    outcome = carry_out(ServingJob(**vars(asked) | {"in_flight": 0}))
    written = [work["tokens_generated"] for work in outcome["works"]]
    assert written == [plan.json_tokens for plan in workload.plans[:2]]


def test_an_arm_runs_in_a_process_of_its_own_and_tells_how_far_it_is(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    asked = job(tiny_base, workload, tmp_path, "listune", batches=0, dtype="float32", device="cpu")
    outcome = run_job(carry_out, asked, lambda *step: told.append(step))
    assert len(outcome["seconds"]) == 2
    assert (2, 2, "one at a time") in told
    assert (2, 2, "2 at a time") in told


def test_an_arm_that_fails_says_why_in_its_row(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    asked = job(tiny_base, workload, tmp_path, "naive", dtype="float31")
    outcome = run_job(carry_out, asked)
    assert "float31" in outcome["not_run"]


@pytest.mark.skipif(bool(find_spec("openvino_genai")), reason="the extra `bench` is installed")
def test_without_its_package_openvino_says_how_to_install_it(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    outcome = run_job(carry_out, job(tiny_base, workload, tmp_path, "openvino", prompting="0"))
    assert "run `make bench-serving`" in outcome["not_run"]


@pytest.mark.parametrize("prompting", ["0", "schema", "json"])
def test_openvino_answers(base_model: Path, tmp_path: Path, prompting: str) -> None:
    pytest.importorskip("openvino_genai", reason="the extra `bench` is not installed")
    asked = [listings.Question(q.listing, q.attributes[-8:], {}) for q in listings.generated(3)]
    given = job(base_model, prepare(asked, base_model), tmp_path, "openvino", prompting=prompting)
    outcome = run_job(carry_out, given)
    assert outcome.get("not_run") is None
    assert len(outcome["works"]) == 2, "one warms up"
    assert all(work["tokens_generated"] >= 8 for work in outcome["works"])


def test_the_peers_processes_hold_no_torch() -> None:
    room = "infra.lab.bench.serving"
    modules = f"infra.lab.bench.job, {room}.arm, {room}.openvino_way, {room}.vllm_way"
    question = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", question], cwd=REPOSITORY).returncode == 0


# --------------------------------------------------------------------------------------- the rest


def test_the_gguf_file_names_every_tensor_and_interleaves_rotated_halves() -> None:
    assert tensor_name("model.layers.3.self_attn.q_proj.weight") == "blk.3.attn_q.weight"
    assert tensor_name("model.embed_tokens.weight") == "token_embd.weight"
    assert tensor_name("model.norm.weight") == "output_norm.weight"
    weight = np.arange(8).reshape(8, 1)  # two heads of four, each two halves of two
    assert interleave(weight, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_what_was_measured_is_kept_after_each_arm(
    tiny_base: Path, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "matrix_rates", lambda *_: {"float32": 1.0, "bfloat16": 1.0})
    monkeypatch.setattr(serving, "VLLM_PYTHON", tmp_path / "nowhere")
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    measuring = Measuring(tiny_base, tmp_path, progress.bar(Console(quiet=True)), quick=True)
    measuring.add(listings.GENERATED, workload)
    kept = list(serving.measure(measuring, ("openvino", "vllm"), begin("serving")))
    assert [[row.name for row in result.rows] for result in kept] == [
        ["openvino"],
        ["openvino", "vllm"],
    ]
    assert "no device for an NVIDIA GPU" in kept[-1].rows[0].not_run
    assert "docs/benchmarks.md says how to make it" in kept[-1].rows[1].not_run


def test_an_unknown_arm_is_refused_before_anything_is_measured() -> None:
    outcome = CliRunner().invoke(app, ["bench", "serving", "--arms", "free,warp"])
    assert isinstance(outcome.exception, ListuneError)
    assert "--arms warp: the arms are naive" in str(outcome.exception)


def test_the_extra_and_its_pins_name_the_same_package() -> None:
    extra = (REPOSITORY / "pyproject.toml").read_text()
    assert 'bench = ["openvino-genai==2026.4.*"]' in extra
    pins = (REPOSITORY / "requirements-bench.txt").read_text()
    assert "openvino-genai==2026.4." in pins
    assert "://" not in pins
