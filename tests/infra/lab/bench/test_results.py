"""A benchmark's result: the file holds everything, the tables leave nothing unsaid."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from infra import machine
from infra.lab.bench import chart
from infra.lab.bench.results import BenchResult, Goal, Row, begin, markdown, tables, write
from infra.lab.bench.serving.figures import CROWD, goals, row_of

ROWS = [
    Row("free B=|A|", {"arm": "free", "batches": 0}, {"p50_s": 0.25, "listings_per_s": 5.0}),
    Row("naive", {"arm": "naive"}, {"p50_s": 12.5}, {"listing_s": [12.0, 13.0]}, note="its best"),
    Row("vllm", {"arm": "vllm"}, not_run="it is not installed"),
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
    rows = [Row(name, {}, {"p50_s": 1.0}) for name in "abc"]
    rows += [Row(name, {}, {"rounds": n, "rows": n + 10}) for n, name in enumerate("de")]
    page = markdown(replace(result, rows=rows))
    assert "| arm | set-up | p50_s |" in page
    assert "| figure | d | e |\n| --- | --- | --- |\n| rounds | 0 | 1 |\n| rows | 10 | 11 |" in page


def test_a_picture_is_drawn_beside_the_file(result: BenchResult, tmp_path: Path) -> None:
    path = chart.draw(result, ("p50_s", "listings_per_s"), tmp_path / "result.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_result_begins_with_this_machine_and_commit() -> None:
    begun = begin("serving")
    assert begun.commit == machine.commit()
    assert begun.machine.keys() == {"cpu", "cores", "vector_flags", "memory_gib", "gpu"}
    assert begun.command.startswith("listune")


def test_every_figure_is_a_count_a_share_or_names_its_unit() -> None:
    counts = dict.fromkeys(
        ("forward_passes", "tokens_computed", "logits_computed", "tokens_generated"), 10
    )
    outcome = {
        "settings": {},
        "seconds": [1.0, 2.0, 3.0],
        "works": [counts] * 3,
        "crowd": {"listings": 32, "seconds": 16.0, "finished": [16.0], "work": counts},
        "warm_up_s": 1.0,
        "peak_memory_mb": 100.0,
    }
    row = row_of("free", {}, outcome)
    units = ("_s", "_mb", "_share", "_per_s", "_per_listing", "listings", "_passes")
    assert all(name.endswith(units) for name in row.figures)
    assert (row.figures["p50_s"], row.figures["listings_per_s"]) == (2.0, 2.0)
    assert row.raw["listing_s"] == [1.0, 2.0, 3.0]


# ------------------------------------------------------------------------------ the serving goals


def arm(name: str, p50_s: float, rate: float, **settings: object) -> Row:
    told = {"arm": name, "set": "generated", "in_flight": CROWD, **settings}
    return Row(name, told, {"p50_s": p50_s, "listings_per_s": rate})  # type: ignore[arg-type]


OURS = [
    arm("free", 0.25, 8.0, batches=0, asked_dtype="auto"),
    arm("free", 0.20, 8.0, batches=4, asked_dtype="auto"),
    arm("constrained", 0.5, 4.0, batches=0, asked_dtype="auto"),
]
PEERS = [arm("naive", 10.0, 0.1), arm("naive", 20.0, 0.05), arm("openvino", 1.5, 2.0)]
PEERS += [arm("openvino", 3.0, 4.0)]


def test_goals_compare_with_the_best_of_each_peer() -> None:
    measured = [goal.measured for goal in goals([*OURS, *PEERS])]
    assert measured == [40.0, 20.0, 6.0, 2.0, None, 1.25]
    assert [goal.met for goal in goals([*OURS, *PEERS])] == [True, False, True, True, None, True]


def test_a_goal_without_its_arms_is_unmeasured_with_the_reason() -> None:
    unmeasured = goals(PEERS)
    assert [goal.met for goal in unmeasured] == [None] * 6
    assert all(goal.reason for goal in unmeasured)


def test_rows_of_other_listings_do_not_count_for_the_goals() -> None:
    real = arm("openvino", 0.1, 100.0, set="flipkart")
    assert goals([*OURS, *PEERS, real]) == goals([*OURS, *PEERS])
