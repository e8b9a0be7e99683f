"""The serving benchmark on the tiny model: what is asked, and what each arm makes of it."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra import progress
from infra.cli import bench
from infra.cli.app import app
from infra.lab.bench import listings
from infra.lab.bench.results import begin
from infra.lab.bench.runner import run_job
from infra.lab.bench.serving import run as serving
from infra.lab.bench.serving.arm import run
from infra.lab.bench.serving.conversation import converse
from infra.lab.bench.serving.gguf_file import interleave, tensor_name
from infra.lab.bench.serving.measuring import GENERATED, Measuring
from infra.lab.bench.serving.work import Job
from infra.lab.bench.serving.workload import LEAD, Workload, prepare, read_vocabulary
from schemas.category import AttributeType
from schemas.errors import ListuneError
from schemas.values import is_valid

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def workload(tiny_base: Path) -> Workload:
    """Three listings with eight attributes each, so that a test takes a second."""
    asked = [listings.Question(q.listing, q.attributes[-8:], {}) for q in listings.generated(3)]
    return prepare(asked, tiny_base)


def job(tiny_base: Path, workload: Workload, folder: Path, way: str, **options: str | int) -> Job:
    path = folder / "workload.json"
    workload.write(path)
    return Job(way, str(tiny_base), str(path), dict(options), listings=2, in_flight=2, crowd=2)


# ----------------------------------------------------------------------------------- the listings


def test_generated_listings_ask_for_50_attributes_of_every_kind() -> None:
    for question in listings.generated(65):
        assert len({a.name for a in question.attributes}) == len(question.attributes) == 50
        assert {a.type for a in question.attributes} == set(AttributeType)
        assert any(a.multi_value for a in question.attributes)
        assert any(len(a.values) > 30 for a in question.attributes)


def test_generated_listings_are_the_same_every_time() -> None:
    assert listings.generated(5) == listings.generated(5) == listings.generated(9)[:5]


def test_a_full_answer_is_legal_and_has_every_attribute() -> None:
    question = listings.generated(1)[0]
    answer = listings.full_answer(question)
    for attribute in question.attributes:
        given = answer[attribute.name]
        values = given if isinstance(given, list) else [given]
        # The plainest value of a pattern is only as long as one, and not always one.
        if attribute.type is not AttributeType.PATTERN or attribute.name in question.truth:
            assert is_valid(attribute, values), attribute.name


def test_the_products_are_140_to_190_tokens_of_the_base_model(base_model: Path) -> None:
    plans = prepare(listings.generated(65), base_model).plans
    lengths = [len(plan.trunk) for plan in plans]
    assert 140 <= min(lengths) <= max(lengths) <= 190
    assert 160 <= sum(lengths) / len(lengths) <= 170


def test_a_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListuneError, match="name it with --flipkart"):
        listings.flipkart(tmp_path, 3)


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
        text = read_vocabulary(tiny_base).decode(plan.json_prompt)
        assert text.endswith(LEAD)


# --------------------------------------------------------------------------------------- the arms


@pytest.mark.parametrize("batches", [0, 4, 1])
def test_our_arm_measures_every_listing_alone_and_in_a_crowd(
    tiny_base: Path, workload: Workload, tmp_path: Path, batches: int
) -> None:
    options = {"mode": "free", "batches": batches, "dtype": "float32", "device": "cpu"}
    outcome = run(job(tiny_base, workload, tmp_path, "listune", **options))
    assert len(outcome["seconds"]) == len(outcome["works"]) == 2
    assert all(work["tokens_computed"] > len(workload.plans[0].trunk) for work in outcome["works"])
    assert outcome["crowd"]["listings"] == len(outcome["crowd"]["finished"]) == 2
    assert outcome["settings"] == {"dtype": "float32"}
    assert outcome["peak_memory_mb"] > 10


def test_the_naive_arm_writes_as_many_tokens_as_a_full_answer_has(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    asked = job(tiny_base, workload, tmp_path, "naive", dtype="float32")
    outcome = run(Job(**vars(asked) | {"in_flight": 0}))
    written = [work["tokens_generated"] for work in outcome["works"]]
    assert written == [plan.json_tokens for plan in workload.plans[:2]]


def test_an_arm_runs_in_a_process_of_its_own_and_tells_how_far_it_is(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    asked = job(tiny_base, workload, tmp_path, "listune", batches=0, dtype="float32", device="cpu")
    outcome = run_job(asked, lambda *step: told.append(step))
    assert len(outcome["seconds"]) == 2
    assert (2, 2, "one at a time") in told
    assert (2, 2, "2 at a time") in told


def test_an_arm_that_fails_says_why_in_its_row(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    asked = job(tiny_base, workload, tmp_path, "naive", dtype="float31")
    outcome = run_job(asked, lambda *_: None)
    assert "float31" in outcome["not_run"]


@pytest.mark.skipif(bool(find_spec("openvino_genai")), reason="the extra `bench` is installed")
def test_without_its_package_openvino_says_how_to_install_it(
    tiny_base: Path, workload: Workload, tmp_path: Path
) -> None:
    outcome = run_job(
        job(tiny_base, workload, tmp_path, "openvino", prompting="0"), lambda *_: None
    )
    assert "run `make bench-serving`" in outcome["not_run"]


@pytest.mark.parametrize("prompting", ["0", "json"])
def test_openvino_answers(base_model: Path, tmp_path: Path, prompting: str) -> None:
    pytest.importorskip("openvino_genai", reason="the extra `bench` is not installed")
    asked = [listings.Question(q.listing, q.attributes[-8:], {}) for q in listings.generated(3)]
    outcome = run_job(
        job(base_model, prepare(asked, base_model), tmp_path, "openvino", prompting=prompting),
        lambda *_: None,
    )
    assert outcome.get("not_run") is None
    assert len(outcome["works"]) == 3
    assert all(work["tokens_generated"] >= 8 for work in outcome["works"])


def test_the_peers_processes_hold_no_torch() -> None:
    modules = "from infra.lab.bench.serving import arm, gguf_file, openvino_way"
    question = f"import sys; {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", question], cwd=REPOSITORY).returncode == 0


# -------------------------------------------------------------------- the conversation with a peer


class Echo:
    """A server that answers every prompt with two tokens and a stop, a token a step."""

    def __init__(self, stop: int) -> None:
        self.stop = stop
        self.prompts: list[list[int]] = []
        self.waiting: list[list[int]] = []
        self.together: list[int] = []

    def ask(self, ids: Sequence[int], cap: int, stops: Sequence[int]) -> "EchoAsked":
        self.prompts.append(list(ids))
        new: list[int] = []
        self.waiting.append(new)
        return EchoAsked(new, 3 if stops else cap)

    def step(self) -> None:
        self.together.append(sum(len(new) < 3 for new in self.waiting))
        for new in self.waiting:
            new.append(self.stop if len(new) == 2 else 500)


class EchoAsked:
    def __init__(self, new: list[int], length: int) -> None:
        self.new, self.length = new, length

    def started(self) -> bool:
        return bool(self.new)

    def answer(self) -> list[int] | None:
        return self.new[: self.length] if len(self.new) >= self.length else None


def test_all_prompts_of_a_listing_follow_once_the_trunk_is_cached(workload: Workload) -> None:
    server = Echo(workload.stop_ids[0])
    plan = workload.plans[0]
    work = converse(server, workload, [plan], "0")
    assert server.together[:2] == [1, 8]
    assert sorted(server.prompts) == sorted([*plan.trunk, *q] for q in plan.questions)
    assert work.tokens_generated == 8 * 3


def test_a_branchs_next_prompt_holds_its_answers_so_far(workload: Workload) -> None:
    server = Echo(workload.stop_ids[0])
    plan = workload.plans[0]
    converse(server, workload, [plan], "1")
    wanted = list(plan.trunk)
    for question, prompt in zip(plan.branches["1"][0], server.prompts, strict=True):
        wanted += plan.questions[question]
        assert prompt == wanted
        wanted += [500, 500, workload.newline]


def test_so_many_listings_are_in_flight_and_all_are_answered(workload: Workload) -> None:
    finished: list[int] = []
    server = Echo(workload.stop_ids[0])
    converse(server, workload, workload.plans, "json", 2, lambda: finished.append(1))
    assert len(finished) == len(server.prompts) == 3


# --------------------------------------------------------------------------------------- the rest


def test_the_gguf_file_names_every_tensor_and_interleaves_rotated_halves() -> None:
    assert tensor_name("model.layers.3.self_attn.q_proj.weight") == "blk.3.attn_q.weight"
    assert tensor_name("model.embed_tokens.weight") == "token_embd.weight"
    assert tensor_name("model.norm.weight") == "output_norm.weight"
    weight = np.arange(8).reshape(8, 1)  # two heads of four, each two halves of two
    assert interleave(weight, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_the_command_runs_all_arms_where_none_is_named() -> None:
    assert tuple(bench.ARMS.split(",")) == serving.ARMS


def test_what_was_measured_is_kept_after_each_arm(
    tiny_base: Path, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "run_module", lambda *_: {"float32": 1.0, "bfloat16": 1.0})
    monkeypatch.setattr(serving, "VLLM_PYTHON", tmp_path / "nowhere")
    monkeypatch.setattr(serving, "has_gpu", lambda: True)
    measuring = Measuring(tiny_base, tmp_path, progress.bar(Console(quiet=True)), quick=True)
    measuring.add(GENERATED, workload)
    chosen = serving.Chosen(("openvino", "vllm"))
    kept = list(serving.measure(measuring, chosen, begin("serving")))
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
