"""The report of a run: figures, pictures and a page that need nothing from outside."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from infra.demo.report import print_report, write_report
from infra.demo.rows import (
    ChangedValue,
    InputsRow,
    LossPoint,
    PoolPoint,
    RoundRow,
    RunInfo,
    RunReport,
)
from infra.demo.wording import duration, example_note, gate_lines, headline, interval, number

PNG = b"\x89PNG\r\n\x1a\n"


def a_report() -> RunReport:
    """Two rounds: the first is promoted, the second better and not decided."""
    base = RoundRow(
        round=0,
        adapter="base",
        decision="baseline",
        net_benefit=-0.03,
        net_benefit_interval=(-0.06, 0.01),
        completeness=0.17,
        completeness_interval=(0.14, 0.2),
        recall=0.08,
        recall_interval=(0.05, 0.11),
        precision=0.41,
        precision_interval=(0.31, 0.52),
        correct_completeness=0.07,
        correct_completeness_interval=(0.05, 0.1),
        acceptance=0.3,
        p50_ms=1234,
        p90_ms=2345,
        pool_size=30,
        eval_seconds=48,
    )
    first = RoundRow(
        round=1,
        adapter="default-r1-a1",
        parent="base",
        decision="promoted",
        reason="net benefit +0.190, surely above 0",
        look=1,
        gate_listings=24,
        net_benefit=0.44,
        net_benefit_interval=(0.39, 0.5),
        over_base=0.47,
        over_base_bounds=(0.41, 0.53),
        completeness=0.78,
        completeness_interval=(0.74, 0.82),
        recall=0.51,
        recall_interval=(0.46, 0.56),
        precision=0.66,
        precision_interval=(0.61, 0.71),
        correct_completeness=0.51,
        correct_completeness_interval=(0.47, 0.56),
        acceptance=0.61,
        p50_ms=1250,
        p90_ms=2800,
        pool_size=61,
        train_seconds=94.2,
        eval_seconds=51,
    )
    second = first.model_copy(
        update={
            "round": 2,
            "adapter": "default-r2-a1",
            "parent": "default-r1-a1",
            "decision": "challenger",
            "reason": "net benefit +0.020: needs some 80 listings",
            "look": 2,
            "gate_listings": 36,
            "forgetting": "round 1 (8 listings): recall 0.550 → 0.530",
            "net_benefit": 0.46,
            "net_benefit_interval": (0.4, 0.52),
            "completeness": 1.0,
            "completeness_interval": (0.99, 1.0),
        }
    )
    one_example = base.model_copy(
        update={"adapter": "base, one example", "net_benefit": 0.2, "pool_size": None}
    )
    return RunReport(
        run=RunInfo(
            started="2026-01-02T03:04:05",
            machine="2 cores <unnamed>, 8 GiB",
            commit="0123abc",
            seed=7,
            catalog="generated",
            generated=True,
            categories=12,
            heldout=32,
            seconds=611,
            settings={"trainer": {"rank": 32}, "demo": {"seed": 7}},
        ),
        rounds=[base, first, second],
        baselines=[one_example],
        serves="default-r1-a1",
        losses={
            n: [LossPoint(step=s, loss=2.0 / (n * s) + 0.4) for s in range(1, 16)] for n in (1, 2)
        },
        pool_history=[PoolPoint(seconds=20 * n, samples=2 * n) for n in range(31)],
        samples=[
            ChangedValue(
                listing="Kettle <b>",
                attribute="Color",
                base="",
                new="black",
                truth="black",
                right=True,
            )
        ],
        timings={"start": 21, "wave 1": 96, "round 1": 150.4, "round 2": 148.2},
    )


def test_the_files_are_written_and_the_json_reads_back_as_the_same_report(tmp_path: Path) -> None:
    files = write_report(a_report(), tmp_path)
    assert [file.name for file in files] == [
        "report.json",
        "metrics.png",
        "loss.png",
        "report.html",
    ]
    assert RunReport.model_validate_json(files[0].read_text()) == a_report()
    assert all(file.read_bytes().startswith(PNG) for file in files[1:3])


def test_report_json_has_every_figure_of_every_round_with_the_base_first(tmp_path: Path) -> None:
    write_report(a_report(), tmp_path)
    rounds = json.loads((tmp_path / "report.json").read_text())["rounds"]
    assert [row["round"] for row in rounds] == [0, 1, 2]
    shares = ("net_benefit", "completeness", "recall", "precision", "correct_completeness")
    wanted = {"round", "adapter", "parent", "acceptance", "p50_ms", "p90_ms", "pool_size"}
    wanted |= {"train_seconds", "eval_seconds", *shares, *(f"{name}_interval" for name in shares)}
    wanted |= {"decision", "reason", "look", "gate_listings"}
    assert all(wanted <= row.keys() for row in rounds)


def test_the_page_loads_nothing_and_escapes_what_it_shows(tmp_path: Path) -> None:
    write_report(a_report(), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r"://|<script|<link|@import|src=\"(?!data:)", page)
    assert page.count("data:image/png;base64,") == 2
    assert "2 cores &lt;unnamed&gt;" in page
    assert "Kettle &lt;b&gt;" in page
    assert page.count("round 1 (8 listings): recall 0.550 → 0.530") == 1
    assert _unclosed(page) == []


def test_the_page_says_plainly_that_a_generated_catalog_is_generated(tmp_path: Path) -> None:
    report = a_report()
    write_report(report, tmp_path)
    assert "<strong>generated</strong>" in (tmp_path / "report.html").read_text()
    report.run.generated, report.run.catalog = False, "flipkart/listings.jsonl"
    write_report(report, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<strong>generated</strong>" not in page
    assert "flipkart/listings.jsonl" in page


def test_a_run_without_any_round_still_has_a_report(tmp_path: Path) -> None:
    report = RunReport(
        run=a_report().run,
        rounds=[RoundRow(round=0, adapter="base", decision="baseline", net_benefit=0.09)],
    )
    files = write_report(report, tmp_path)
    assert "loss.png" not in [file.name for file in files]
    assert headline(report) == "No round brought a candidate: base serves, net benefit 0.09"
    assert _text(report).endswith(headline(report) + "\n")


def wide_report() -> RunReport:
    """As much as may have to fit: long ids, the longest decision, every number wide."""
    report = a_report()
    for row in (*report.rounds, *report.baselines):
        row.pool_size, row.train_seconds, row.eval_seconds = 1_000_000, 12_345.0, 12_345.0
        row.p50_ms, row.p90_ms, row.acceptance = 123_456, 234_567, 1.0
        row.net_benefit, row.net_benefit_interval = -0.21, (-0.32, -0.11)
        row.correct_completeness, row.correct_completeness_interval = 1.0, (0.99, 1.0)
        if row.round:
            row.adapter = f"secondhand-furniture-r{row.round + 10}-a2"
            row.parent, row.decision = f"secondhand-furniture-r{row.round + 9}-a2", "challenger"
    return report


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_tables_fit_a_terminal_without_a_cut_word(width: int) -> None:
    text = _text(a_report(), width)
    for figure in ("0.17", "0.14–0.20", "−0.03", "−0.06 to 0.01", "0.99–1.00"):
        assert figure in text
    for cost in ("1.2 s", "2.8 s", "94 s", "51 s", "0.61"):
        assert cost in text
    for word in ("default-r2-a1", "promoted", "challenger", "precision", "completeness", "p90"):
        assert word in text
    assert "round 1: promoted at look 1 on 24 held-out listings: net benefit +0.190" in text
    for report, said in ((a_report(), text), (wide_report(), _text(wide_report(), width))):
        assert max(len(line) for line in said.splitlines()) <= width
        assert "…" not in said
        # What folds is put together again in its column; no figure and no decision folds.
        assert said.count("challenger") >= sum(
            row.decision == "challenger" for row in report.rounds
        )
    wide = _text(wide_report(), width)
    for figure in ("−0.32 to −0.11", "1,000,000", "12,345 s", "123.5 s", "completeness"):
        assert figure in wide


def inputs_row(inputs: str, listings: int, adapter: str, worth: float) -> InputsRow:
    return InputsRow(
        inputs=inputs,
        adapter=adapter,
        listings=listings,
        net_benefit=worth,
        net_benefit_interval=(worth - 0.5, worth + 0.01),
        completeness=0.5,
        completeness_interval=(0.41, 0.59),
    )


@pytest.mark.parametrize("width", [80, 120])
def test_base_and_best_candidate_have_a_row_by_input(tmp_path: Path, width: int) -> None:
    report = a_report()
    assert "By input" not in _text(report)
    report.by_inputs = [
        inputs_row(inputs, listings, adapter, worth + better)
        for adapter, better in (("base", 0.0), ("default-r1-a1", 0.2), ("default-r2-a1", 0.3))
        for inputs, listings, worth in (("image", 1007, 0.11), ("text+image", 19, -0.21))
    ]
    table = _text(report, width).partition("By input")[2].partition("as above.")[0]
    assert "base" in table
    assert "round 2" in table
    assert "round 1" not in table
    (image,) = [line.split() for line in table.splitlines() if "image " in line][:1]
    assert image == ["image", "1,007", "0.11", "0.50", "0.41", "0.50"]
    assert "−0.71 to −0.20" in table
    assert "−0.41 to 0.10" in table
    assert max(map(len, table.splitlines())) <= width
    write_report(report, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<h2>By input</h2>" in page
    assert page.count("0.41–0.59") >= 4
    assert _unclosed(page) == []


def test_the_page_begins_with_the_headline(tmp_path: Path) -> None:
    write_report(a_report(), tmp_path)
    body = (tmp_path / "report.html").read_text().partition("<main>")[2]
    assert headline(a_report()) in body[:400]
    assert body.count("net benefit +0.020: needs some 80 listings") == 2
    assert "round 2: challenger at look 2 on 36 held-out listings" in body


def test_the_headline_is_of_the_best_candidate_whether_it_serves_or_not() -> None:
    report = a_report()
    assert headline(report) == (
        "Net benefit −0.03 → 0.46 (base → default-r2-a1, which does not serve: the gate keeps it "
        "as challenger: net benefit +0.020: needs some 80 listings)"
    )
    report.rounds[2].decision, report.rounds[2].reason = "rejected", "net benefit -0.100"
    assert "does not serve: the gate rejected it: net benefit -0.100)" in headline(report)
    report.rounds[2].decision, report.rounds[2].reason = "superseded", "another came first"
    assert "does not serve: superseded: another came first)" in headline(report)
    report.serves = "default-r2-a1"
    assert headline(report) == "Net benefit −0.03 → 0.46 (base → default-r2-a1, which serves)"
    report.rounds[1].net_benefit = 0.5
    assert headline(report).endswith("0.50 (base → default-r1-a1, which does not serve: "
                                     "default-r2-a1 serves after it)")  # fmt: skip


def test_a_worked_example_that_does_better_than_the_rounds_is_told() -> None:
    report = a_report()
    assert example_note(report) is None
    assert "worked example" not in _text(report)
    report.baselines[0].net_benefit = 0.47
    note = (
        "The base with a worked example in its prompt does better than every round: net benefit "
        "0.47, the best round 0.46."
    )
    assert example_note(report) == note
    assert note in " ".join(_text(report).split())


def test_a_round_that_no_gate_judged_has_its_line_too() -> None:
    report = a_report()
    report.rounds[1:] = [
        RoundRow(round=1, adapter="none", decision="failed", reason="lease_expired"),
        RoundRow(round=2, adapter="none", decision="unfinished"),
    ]
    assert list(gate_lines(report)) == ["round 1: failed: lease_expired", "round 2: unfinished"]


def test_numbers_have_a_leading_zero_and_a_minus() -> None:
    assert [number(value) for value in (0.821, -0.05, -0.001, 1.0, None)] == [
        "0.82", "−0.05", "0.00", "1.00", "–"
    ]  # fmt: skip
    assert interval((-0.051, -0.02)) == "−0.05 to −0.02"
    assert interval((0.0, 0.5)) == "0.00–0.50"


def test_a_duration_reads_as_minutes_and_seconds() -> None:
    assert duration(611.4) == "10 min 11 s"
    assert duration(59.2) == "59 s"


def _text(report: RunReport, width: int = 80) -> str:
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as capture:
        print_report(report, console)
    return capture.get()


def _unclosed(page: str) -> list[str]:
    """Tags that are opened and never closed, or closed out of order."""
    open_tags: list[str] = []
    empty = {"meta", "img", "br"}

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in empty:
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag, self.getpos()

    Reader().feed(page)
    return open_tags
