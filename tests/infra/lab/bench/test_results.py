"""A benchmark's result: the file holds everything, the tables leave nothing unsaid."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from infra import machine
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.pictures import run as pictures
from infra.lab.bench.publish import markdown, publish, tables, write
from infra.lab.bench.results import ArmResult, BenchResult, Goal, begin
from infra.lab.bench.serving import run as serving
from infra.lab.bench.training import run as training

ROWS = [
    ArmResult("free B=|A|", {"arm": "free", "batches": 0}, {"p50_s": 0.25, "listings_per_s": 5.0}),
    ArmResult(
        "naive", {"arm": "naive"}, {"p50_s": 12.5}, {"listing_s": [12.0, 13.0]}, note="its best"
    ),
    ArmResult("vllm", {"arm": "vllm"}, not_run="it is not installed"),
]
GOALS = [
    Goal("times faster", 30, 50.0, reason="nobody had the time"),
    Goal("cost", 1.3, 1.5, at_least=False),
    Goal("share", 0.6, None, reason="nobody counted"),
]


@pytest.fixture
def result() -> BenchResult:
    facts = {"cpu": "a processor", "cores": 2, "vector_flags": "", "memory_gib": 8, "gpu": ""}
    return BenchResult(
        "serving", "2026-01-31", "abc1234+", "listune bench serving", facts, ROWS, GOALS
    )


def test_the_file_is_named_by_benchmark_date_and_commit_and_read_back_whole(
    result: BenchResult, tmp_path: Path
) -> None:
    path = write(result, tmp_path / "results")
    assert path.name == "serving-2026-01-31-abc1234-changed.json"
    assert BenchResult.from_json(path.read_text()).to_json() == result.to_json()


def test_the_file_says_of_each_goal_what_was_wanted_and_whether_it_was_met(
    result: BenchResult,
) -> None:
    said = json.loads(result.to_json())["goals"]
    assert [g["reason"] for g in said] == ["", "", "nobody counted"]
    assert [(g["goal"], g["met"]) for g in said] == [
        ("at least 30", True),
        ("at most 1.3", False),
        ("at least 0.6", None),
    ]


def test_tables_and_page_show_what_was_not_measured_and_why(result: BenchResult) -> None:
    console = Console(width=300, record=True)
    for table in tables(result):
        console.print(table)
    for text in (console.export_text(), markdown(result)):
        assert "not run: it is not installed" in text
        assert "not measured: nobody counted" in text
        assert "its best" in text


def test_what_few_arms_have_stands_aside_and_arms_that_have_the_same_side_by_side(
    result: BenchResult,
) -> None:
    rows = [ArmResult(name, {}, {"p50_s": 1.0}) for name in "abc"]
    rows += [ArmResult(name, {}, {"rounds": n, "rows": n + 10}) for n, name in enumerate("de")]
    page = markdown(replace(result, rows=rows))
    assert "| arm | set-up | p50_s |" in page
    assert "| figure | d | e |\n| --- | --- | --- |\n| rounds | 0 | 1 |\n| rows | 10 | 11 |" in page


def test_a_picture_is_drawn_beside_the_file(result: BenchResult, tmp_path: Path) -> None:
    path = draw_bars(result, ("p50_s", "listings_per_s"), tmp_path / "result.png")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("benchmark", [serving, training, pictures])
def test_each_benchmark_draws_its_result_where_publishing_wants_it(
    benchmark: ModuleType, result: BenchResult, tmp_path: Path
) -> None:
    publish([result], tmp_path, benchmark.draw, Console(quiet=True))
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".json", ".md", ".png"]


def test_what_a_benchmark_has_so_far_is_kept_though_it_does_not_come_to_its_end(
    result: BenchResult, tmp_path: Path
) -> None:
    def stopped() -> Iterator[BenchResult]:
        yield replace(result, rows=ROWS[:1])
        yield replace(result, rows=ROWS[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(stopped(), tmp_path, lambda _, path: path.touch(), Console(quiet=True))
    (kept,) = tmp_path.glob("*.json")
    assert BenchResult.from_json(kept.read_text()).rows == ROWS[:2]
    assert kept.with_suffix(".md").exists()
    assert kept.with_suffix(".png").exists()


def test_a_result_begins_with_this_machine_and_commit() -> None:
    begun = begin("serving")
    assert begun.commit == machine.commit()
    assert begun.machine.keys() == {"cpu", "cores", "vector_flags", "memory_gib", "gpu"}
    assert begun.command.startswith("listune")
