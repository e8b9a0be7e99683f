"""The GPU check, rehearsed on the CPU: what it packs, what it measures, and how it goes wrong."""

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from infra.lab.bench.results import ArmResult, BenchResult
from infra.lab.gpu_check import unpacking
from infra.lab.gpu_check.adapters import random_adapter
from infra.lab.gpu_check.exactness import compared
from infra.lab.gpu_check.goals import goals
from infra.lab.gpu_check.here import packed_here
from infra.lab.gpu_check.place import Place
from infra.lab.gpu_check.reference import Answered, Reference
from infra.lab.gpu_check.run import check
from infra.lab.gpu_check.stage import STAGES, Stage, read_row, rows_here, rows_of
from serving.adapter_file import read_adapter

REPOSITORY = Path(__file__).parents[4]
LACKING = (
    "aiokafka", "babel", "confluent_kafka", "duckdb", "faust", "fastapi", "jgo", "obstore",
    "openpyxl", "pint", "tomli_w", "tritonclient", "uvicorn",
)  # fmt: skip
"""What a GPU image has not, and what does not travel."""
QUIET = Console(quiet=True)
SHAPES = {"model.layers.0.self_attn.q_proj": (8, 6), "lm_head": (20, 6)}


def named(name: str) -> Stage:
    [stage] = (stage for stage in STAGES if stage.name == name)
    return stage


def place_of(folder: Path) -> Place:
    """One with a reference and nothing else."""
    place = Place(str(folder), str(folder / "base"), str(folder / "work"), "cpu", "rehearsal")
    Reference("abc1234", "rehearsal", "0" * 64, "2").write(place.part("reference.json"))
    return place


def result_of(path: Path) -> BenchResult:
    return BenchResult.from_json(path.read_text())


# ----------------------------------------------------------------------------------- the rehearsal


@pytest.mark.slow
def test_a_rehearsal_measures_every_stage_and_the_cpu_answers_as_the_cpu(tmp_path: Path) -> None:
    place = packed_here(tmp_path / "work", True, QUIET)
    path = check(place, tmp_path / "out", QUIET, 1e4, STAGES, rows_here)
    result = result_of(path)
    assert [row.name for row in result.rows if row.not_run] == ["kernels: ours, recorded"]  # no GPU
    assert {row.settings.get("stage") for row in result.rows} >= {
        "exactness", "serving", "losses", "training",
    }  # fmt: skip
    met = {goal.name: goal for goal in result.goals}
    assert all(goal.measured is not None for goal in result.goals)
    assert met["same answers as on the CPU, fp32"].measured == 1
    assert met["loss from the CPU's, nats: 1 process"].met
    assert met["loss from the CPU's, nats: 2 processes"].met
    ours, plain = (row for row in result.rows if row.settings.get("stage") == "training")
    assert ours.figures["first_loss_nats"] == pytest.approx(
        plain.figures["first_loss_nats"], rel=0.02
    )
    assert path.with_suffix(".md").is_file()
    assert path.with_suffix(".png").is_file()


# ---------------------------------------------------------------------------------- going wrong


@pytest.mark.slow
def test_a_stage_that_fails_is_one_row_and_the_others_go_on(tmp_path: Path) -> None:
    place = place_of(tmp_path)  # without a base
    stages = [replace(named(name), limit_s=250) for name in ("base", "environment")]
    result = result_of(check(place, tmp_path, QUIET, 600, stages, rows_of))
    failed, measured = result.rows
    assert failed.not_run.startswith("it failed (exit code 1): ")
    assert measured.settings["torch"]
    assert measured.figures["float32_tflop_per_s"]


@pytest.mark.slow
def test_a_stage_that_outlasts_its_limit_is_ended_and_says_so(tmp_path: Path) -> None:
    stages = [replace(named("environment"), limit_s=0.05)]
    [row] = result_of(check(place_of(tmp_path), tmp_path, QUIET, 600, stages, rows_of)).rows
    assert row.not_run == "it was not done after its 0 s"


def test_a_stage_that_the_deadline_leaves_no_time_is_not_begun(tmp_path: Path) -> None:
    rows = result_of(check(place_of(tmp_path), tmp_path, QUIET, 1, STAGES, rows_of)).rows
    assert [row.name for row in rows] == [stage.name for stage in STAGES]
    assert {row.not_run for row in rows} == {"the check's time was over before it began"}


def test_the_result_is_written_after_every_row(tmp_path: Path) -> None:
    written: list[int] = []

    def one_by_one(stage: Stage, place: Place, limit_s: float):
        for number in range(2):
            files = list((tmp_path / "out").glob("*.json"))
            written.append(len(result_of(files[0]).rows) if files else 0)
            yield ArmResult(f"{stage.name} {number}")

    check(place_of(tmp_path), tmp_path / "out", QUIET, 600, STAGES[:2], one_by_one)
    assert written == [0, 1, 2, 3]


def test_all_stages_together_fit_a_command_on_a_lent_machine() -> None:
    # The last one may be cut; those before it have their time whatever the others take.
    assert sum(stage.limit_s for stage in STAGES[:-2]) <= 600


def test_an_answer_of_other_ids_is_counted_and_its_confidence_is_not_compared() -> None:
    expected = [{"colour": Answered([1, 2], 0.5), "size": Answered([3], 0.25)}]
    given = [{"colour": Answered([1, 2], 0.55), "size": Answered([4], 0.9)}]
    row = compared("free base", "float32", given, expected)
    assert row.figures == {
        "answers": 2,
        "same_answers": 1,
        "same_share": 0.5,
        "confidence_error": pytest.approx(0.1),
    }


def test_goals_say_what_was_not_measured() -> None:
    assert all(goal.met is None and goal.reason for goal in goals([]))


def test_the_pages_say_that_nothing_is_measured_on_a_gpu_until_a_result_is_there() -> None:
    pages = [REPOSITORY / name for name in ("README.md", "docs/benchmarks.md")]
    measured = any((REPOSITORY / "docs" / "results" / "bench").glob("gpu-*.json"))
    for page in pages:
        assert ("not measured on a GPU" in page.read_text()) is not measured, page


# ------------------------------------------------------------------------------ what travels


def test_an_adapter_has_the_same_bytes_wherever_it_is_drawn_and_others_have_others() -> None:
    blob = random_adapter(SHAPES, "0" * 64, 1, rank=4)
    assert blob == random_adapter(SHAPES, "0" * 64, 1, rank=4)
    assert blob != random_adapter(SHAPES, "0" * 64, 2, rank=4)
    assert list(read_adapter(blob).pairs()) == ["model.layers.0.self_attn.q_proj"]


def wheel(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")


def test_of_the_wheels_only_those_are_unpacked_that_are_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "not_here_yet")
    wheel(tmp_path / "wheels", "pydantic")
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert unpacking.missing(["not_here_yet", "pydantic"]) == ["not_here_yet"]
    assert unpacking.add_wheels(tmp_path, tmp_path / "site") == ["not_here_yet"]
    assert unpacking.missing(["not_here_yet", "pydantic"]) == []


def test_what_is_missing_is_said_in_one_sentence() -> None:
    sentence = unpacking.said(["pydantic", "llguidance"])
    assert "has no pydantic, llguidance: pack the wheels for it" in sentence


def test_the_base_is_joined_from_its_pieces_and_a_missing_one_is_noticed(tmp_path: Path) -> None:
    parts, work = tmp_path / "parts", tmp_path / "work"
    work.mkdir()
    wheel(parts, "base")
    with zipfile.ZipFile(parts / "base-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("base/model.gguf", b"weights" * 100)
    content = next(parts.glob("*.whl")).read_bytes()
    (parts / "base.whl.0").write_bytes(content[:50])
    (parts / "base.whl.1").write_bytes(content[50:])
    digest = hashlib.sha256(content).hexdigest()
    assert unpacking.join_base(parts, digest, work).read_bytes() == b"weights" * 100
    (parts / "base.whl.0").unlink()
    with pytest.raises(unpacking.NotWhole, match="bring both halves"):
        unpacking.join_base(parts, digest, work)


@pytest.mark.slow
def test_the_stages_import_nothing_that_a_gpu_image_lacks_and_that_does_not_travel() -> None:
    modules = ", ".join(f"infra.lab.gpu_check.{stage.module}" for stage in STAGES)
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({LACKING!r}))\n"
        f"import {modules}, infra.lab.gpu_check.run, infra.lab.gpu_check.plain_way"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_without_a_gpu_the_command_says_what_to_do(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.lab.gpu_check", "--work", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True, env={"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert ran.returncode == 1
    assert "no CUDA device is here: pack the parts" in ran.stderr


def test_a_row_is_read_from_a_line_and_a_library_s_words_are_not() -> None:
    assert read_row(json.dumps({"row": {"name": "x"}})) == ArmResult("x")
    assert read_row("Loading weights: 100%") is None
    assert read_row('{"done": 1}') is None
