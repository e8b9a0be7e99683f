"""`listune experiment`: reports of experiments on live traffic, beside the comparison of old."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.arms import asking
from infra.cli.app import app, main
from infra.local.ports import free_port
from schemas.experiment import Arm, Experiment
from streams.settings import StreamsSettings
from streams.sql.guard import SqlGuard
from tests.streams.world import START_MS, World, prediction, request, review


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A pool that is asked as the SQL endpoint asks it, in a folder where nothing else is up."""
    made, guard = World(tmp_path / "pool"), SqlGuard()

    def asked(_: StreamsSettings, sql: str) -> tuple[list[str], list[Any]]:
        guard.check(sql)
        return [], made.rows(sql)

    monkeypatch.setattr(asking, "query", asked)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LISTUNE_STREAMS__BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    yield made
    made.pool.close()


def run(*arguments: str) -> str:
    shown = CliRunner().invoke(app, ["experiment", *arguments], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    return shown.output


def play(world: World, name: str = "titles", sellers: int = 40) -> None:
    """An experiment runs, and sellers in it have reviewed an answer each."""
    arms = (Arm(name="today", answers="champion"), Arm(name="none", answers="blind"))
    made = Experiment(name=name, arms=arms).grown({"today": 0.5, "none": 0.5})
    world.pool.con.execute(
        "INSERT INTO store.experiments VALUES (?, ?, 'running', ?, NULL, NULL)",
        [name, made.model_dump_json(), START_MS],
    )
    records = []
    for n in range(sellers):
        asked = request(f"l{n}", seller_id=f"s{n}")
        arm = made.arm_of(asked.unit)
        assert arm is not None
        filled = 0 if arm.name == "none" else n % 4
        answer = prediction(asked, filled, arms={name: arm.name})
        world.now_ms += 3_600_000
        records += [world.record(event) for event in (asked, answer, review(answer))]
    world.pool.apply(records)


@pytest.mark.slow
def test_the_arms_are_reported_from_the_live_pool_and_written_where_one_likes(
    world: World, tmp_path: Path
) -> None:
    play(world)
    shown = run("arms", "--out", str(tmp_path / "out"))
    assert "titles (running): one number a seller" in shown
    assert "The arms get their shares" in shown
    assert (tmp_path / "out" / "arms.md").read_text() != ""


def test_a_canary_is_reported_by_its_name(world: World) -> None:
    play(world, "canary:default-r1-a1")
    assert "canary:default-r1-a1 (running)" in run("arms", "canary:default-r1-a1")


def test_table_2_is_one_command(world: World, tmp_path: Path) -> None:
    play(world)
    shown = run("table2", "--out", str(tmp_path))
    assert "Table 2: titles" in shown
    assert (tmp_path / "table2.md").read_text().startswith("## Table 2: titles")


def test_arms_without_a_review_are_reported_as_that(world: World) -> None:
    play(world, sellers=0)
    assert "No seller in it has reviewed an answer yet" in run("arms")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["arms"], "no experiment has run in this pool; describe one"),
        (["plan"], "only 0 sellers have reviewed a suggestion so far"),
        (["plan", "--acceptance", "0.9", "--difference", "0.2"], "give a smaller --difference"),
        (["plan", "--acceptance", "0.5", "--share", "0.6"], "mend --share"),
        pytest.param(
            ["--profile", "huge"],
            "there is no profile 'huge'; take one of laptop",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.usefixtures("world")
def test_what_cannot_be_done_is_one_sentence_that_says_what_to_do(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["listune", "experiment", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert said in " ".join(capsys.readouterr().err.split())


def test_another_name_says_which_there_are(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play(world, sellers=1)
    monkeypatch.setattr(sys, "argv", ["listune", "experiment", "arms", "title"])
    with pytest.raises(SystemExit):
        main()
    assert "no experiment 'title'; take one of titles" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_plan_is_made_from_what_sellers_have_accepted_and_how_many_come(world: World) -> None:
    play(world, sellers=60)
    shown = run("plan", "--difference", "-0.5", "--runs", "10", "--share", "0.5")
    [row] = [line.split() for line in shown.splitlines() if line.strip().startswith("arm 1")]
    sellers, days = int(row[4]), float(row[6])
    # 60 sellers came in as many hours; each arm of two has half of them.
    assert days == pytest.approx(sellers / 24, rel=0.2)


def test_a_plan_on_assumptions_asks_nobody() -> None:
    shown = run("plan", "--acceptance", "0.5", "--difference", "0.3", "--runs", "10")
    assert "simulated experiments" in shown
    assert "100 %" in shown


def test_the_arms_of_the_settings_are_planned_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arms = '[{"name": "now", "share": 0.5, "answers": "champion"}, '
    arms += '{"name": "shown-none", "share": 0.02, "answers": "blind"}]'
    monkeypatch.setenv("LISTUNE_STREAMS__EXPERIMENT__NAME", "titles")
    monkeypatch.setenv("LISTUNE_STREAMS__EXPERIMENT__ARMS", arms)
    shown = run("plan", "--acceptance", "0.5", "--runs", "10", "--most", "100")
    assert "shown-none" in shown
    assert "> 100" in shown
