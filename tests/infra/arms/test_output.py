"""The report of an experiment as tables, pictures and files."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from infra.arms.files import write_report, write_table2
from infra.arms.sheets import plan_sheet, rich_table, said, sheets, table2
from schemas.experiment import Arm, Experiment
from streams.arms.observed import Observed, Traffic, Unit, Values
from streams.arms.plan import Planned
from streams.arms.report import ArmsReport, report
from streams.statistics.power import Needed
from streams.trials import ArmPrices

PNG = b"\x89PNG\r\n\x1a\n"
ARMS = ("champion-as-today", "base-with-example", "blind")
PRICES = {arm: ArmPrices(machine_hour=2.0) for arm in ARMS}


def an_experiment() -> Experiment:
    answers = ("champion", "example", "blind")
    arms = tuple(Arm(name=n, answers=a) for n, a in zip(ARMS, answers, strict=True))
    return Experiment(name="titles", arms=arms).grown(dict.fromkeys(ARMS, 0.33))


def a_report(sellers: int = 600, lost: bool = False, prices: bool = True) -> ArmsReport:
    experiment, units = an_experiment(), []
    for n in range(sellers):
        arm = experiment.arm_of(f"s{n}")
        if arm is None or (lost and arm.name == "blind" and n % 2):
            continue
        shown = 0 if arm.name == "blind" else 8
        values = Values(10, shown, shown * (n % 3) // 2, 9)
        units.append(Unit(arm.name, f"s{n}", 1, values))
    traffic = [Traffic(arm, 12_345, 1, 2, 1234.5, 2345.6, 999, 99, 0, 0, 0.3, 2.5) for arm in ARMS]
    observed = Observed(
        experiment, "running", [(one.arm, one.values) for one in units], units, traffic
    )
    return report(observed, 0.25, PRICES if prices else {})


def printed(made: ArmsReport) -> str:
    console = Console(width=80, record=True, file=StringIO())
    for sheet in sheets(made):
        console.print(rich_table(sheet), highlight=False)
    return console.export_text()


def test_all_tables_fit_80_columns_with_every_figure_whole() -> None:
    text = printed(a_report())
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for word in ("acceptance", "and accepted", "net benefit", "1.23 s", "12,345", "cost / 1,000"):
        assert word in text


def test_the_usual_tests_say_that_they_are_valid_only_at_the_planned_end() -> None:
    text = printed(a_report())
    assert "Fixed horizon: valid only at the planned end" in text
    assert "Valid only at the end that was planned" in " ".join(text.split())


def test_without_a_price_there_is_no_column_of_costs() -> None:
    assert "cost" not in printed(a_report(prices=False)).partition("How the arms")[2]


def test_table_2_has_an_arm_a_row_with_its_interval_and_the_test_against_the_control() -> None:
    made = table2(a_report())
    assert [row[0] for row in made.rows] == list(ARMS)
    control, example, blind = made.rows
    assert re.fullmatch(r"\d+\.\d ± \d+\.\d", control[2])
    assert list(control[3:5]) == ["–", "–"]
    assert re.fullmatch(r"[+−]\d+\.\d\d", example[3])
    # The blind arm suggests nothing: no acceptance, and nothing that was accepted.
    assert blind[2] == "–"
    assert blind[5].startswith("0.0")
    assert blind[7] == "< 0.001"


def test_a_mismatch_is_said_and_so_are_arms_that_get_their_shares() -> None:
    assert said(a_report())[0].startswith("The arms get their shares (p ")
    [line] = said(a_report(sellers=1_500, lost=True))
    assert line.startswith("Sample ratio mismatch (p < 0.001")
    assert "no figure counts" in line


def test_an_experiment_without_a_review_says_so_and_has_its_tables() -> None:
    made = a_report(sellers=0)
    assert said(made)[-1].startswith("No seller in it has reviewed an answer yet")
    assert "champion-as-today" in "".join(printed(made).split())


@pytest.mark.slow
@pytest.mark.parametrize("sellers", [0, 300])
def test_all_of_it_lies_in_a_folder(tmp_path: Path, sellers: int) -> None:
    page = write_report(a_report(sellers), tmp_path).read_text()
    for picture in ("acceptance.png", "net_benefit.png"):
        assert (tmp_path / picture).read_bytes().startswith(PNG)
        assert f"({picture})" in page
    assert (tmp_path / "table2.md").read_text() in page
    data = json.loads((tmp_path / "arms.json").read_text())
    assert [row["arm"] for row in data["rows"]] == list(ARMS)
    assert {data["commit"], data["machine"], data["date"]} <= set(page.splitlines()[2].split(" · "))
    assert all(line.count("|") > 4 for line in page.splitlines() if line.startswith("|"))


def test_table_2_alone_is_a_page_of_its_own(tmp_path: Path) -> None:
    text = write_table2(a_report(), tmp_path).read_text()
    assert text.startswith("## Table 2: titles\n\n| arm | reviews | acceptance, % | z | p |")


def test_a_plan_says_how_many_and_where_the_simulations_came_to_no_end() -> None:
    needed = Needed(1_200, None, 600, None, 0.7)
    made = plan_sheet([Planned("new", 0.25, 0.05, needed, 12.34, None)], "today", 5_000)
    assert made.rows == [("new", "0.25", "+0.05", "1,200", "> 5,000", "12.3", "–", "70 %")]
