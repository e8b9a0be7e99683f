"""The report of a run: figures, pictures and a page that need nothing from outside."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from infra.demo.report import (
    ChangedValue,
    LossPoint,
    PoolPoint,
    RoundRow,
    RunInfo,
    RunReport,
    console_table,
    duration,
    write_report,
)

PNG = b"\x89PNG\r\n\x1a\n"


def a_report() -> RunReport:
    """Two rounds with the figures of a prototype."""
    base = RoundRow(
        round=0,
        adapter="base",
        decision="base",
        completeness=0.17,
        completeness_interval=(0.14, 0.2),
        recall=0.08,
        recall_interval=(0.05, 0.11),
        precision=0.41,
        precision_interval=(0.31, 0.52),
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
        completeness=0.78,
        completeness_interval=(0.74, 0.82),
        recall=0.51,
        recall_interval=(0.46, 0.56),
        precision=0.66,
        precision_interval=(0.61, 0.71),
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
            "decision": "inconclusive",
            "reason": "precision could be .06 worse; needs 80 listings",
            "forgetting": "round 1 (8 listings): recall 0.550 → 0.530",
            "completeness": 1.0,
            "completeness_interval": (0.99, 1.0),
        }
    )
    one_shot = base.model_copy(
        update={"adapter": "base+one-shot", "decision": "baseline", "pool_size": None}
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
        baselines=[base, one_shot],
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
        timings={"start": 21, "baselines": 96, "round 1": 150.4, "round 2": 148.2},
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
    figures = "round adapter parent decision completeness recall precision acceptance p50_ms p90_ms"
    wanted = {*figures.split(), "pool_size", "train_seconds", "eval_seconds"}
    wanted |= {f"{share}_interval" for share in ("completeness", "recall", "precision")}
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
        run=a_report().run, rounds=[RoundRow(round=0, adapter="base", decision="base")]
    )
    files = write_report(report, tmp_path)
    assert "loss.png" not in [file.name for file in files]
    assert "–" in _text(report, 100)


@pytest.mark.parametrize("width", [100, 112, 120])
def test_the_console_table_lines_up_and_fits(width: int) -> None:
    text = _text(a_report(), width)
    assert max(len(line) for line in text.splitlines()) <= width
    for figure in (
        ".17",
        ".14–.20",
        ".74–.82",
        "1.00",
        ".99–1.00",
        "1.2 s",
        "2.8 s",
        "94 s",
        "51 s",
    ):
        assert figure in text
    for word in ("base+one-shot", "default-r2-a1", "inconclusive", "precision", "p90"):
        assert word in text
    ends = {len(line.rstrip()) for line in text.splitlines() if line.rstrip().endswith(" s")}
    assert len(ends) == 1


def test_a_duration_reads_as_minutes_and_seconds() -> None:
    assert duration(611.4) == "10 min 11 s"
    assert duration(59.2) == "59 s"


def _text(report: RunReport, width: int) -> str:
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as capture:
        console.print(console_table(report))
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
