"""How often the gate is wrong, on a few hundred made-up candidates (`make bench-gate`: thousands).

The bounds leave room for the luck of a small number; they are those that design.md asks for where
that is possible.
"""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from infra.lab.bench import publish
from infra.lab.bench.gate import run as gate
from infra.lab.bench.gate.run import BETTER, LIKENESS, NONE, WORSE
from infra.lab.bench.gate.simulation import PARENT, World, course, rates, rates_by_kind
from infra.lab.bench.results import BenchResult
from infra.settings import Settings
from trainer.judging.gate import Rule

RULE = Rule(by="net_benefit", cost_of_wrong=0.25, least_gain=0.0, margin=0.02)
USUAL = World(LIKENESS["usual"])
CANDIDATES = 300


@pytest.mark.parametrize("listings", [24, 60])
def test_a_candidate_without_any_gain_is_seldom_promoted(listings: int) -> None:
    found = rates(RULE, USUAL, listings, NONE, CANDIDATES).figures()
    assert found["promoted"] is not None
    assert found["promoted"] <= 0.10


@pytest.mark.parametrize("noise", LIKENESS)
def test_a_candidate_that_is_worse_is_hardly_ever_promoted(noise: str) -> None:
    found = rates(RULE, World(LIKENESS[noise]), 24, WORSE, CANDIDATES).figures()
    assert found["promoted"] is not None
    assert found["promoted"] <= 0.02


def test_with_sixty_listings_a_real_gain_is_promoted() -> None:
    found = rates(RULE, USUAL, 60, BETTER, CANDIDATES).figures()
    assert found["promoted_at_first_look"] is not None
    assert found["promoted_at_first_look"] >= 0.95


MIXED = (46, 38, 16)


def test_what_harms_no_kind_of_input_is_seldom_held_back() -> None:
    """At worst: a gain on the whole, and none at all on two kinds of three."""
    kinds = list(zip(MIXED, (NONE, 2 * BETTER, NONE), strict=True))
    found = rates_by_kind(RULE, USUAL, kinds, CANDIDATES).figures()
    assert found["held_back_at_first_look"] is not None
    assert found["held_back_at_first_look"] <= 0.08
    assert found["promoted"] is not None
    assert found["promoted"] >= 0.95


def test_what_gains_on_text_and_loses_on_pictures_alone_is_held_back() -> None:
    kinds = list(zip(MIXED, (BETTER, BETTER, -2 * BETTER), strict=True))
    found = rates_by_kind(RULE, USUAL, kinds, CANDIDATES // 3).figures()
    assert found["promoted"] is not None
    assert found["promoted"] <= 0.05


@pytest.mark.parametrize("loss", [0.0, -0.01])
def test_in_twenty_rounds_small_losses_do_not_add_up(loss: float) -> None:
    worst = [course(RULE, USUAL, 24, lambda _: loss, seed) for seed in range(20)]
    assert np.mean([lost <= RULE.margin + 1e-9 for lost in worst]) >= 0.95


@pytest.mark.parametrize("net_benefit", [PARENT, PARENT + BETTER])
def test_the_made_up_adapters_have_the_net_benefit_that_they_should(net_benefit: float) -> None:
    cost = RULE.cost_of_wrong
    skill = USUAL.skill(net_benefit, cost)
    (many,) = USUAL.judged(np.random.default_rng(0), 40_000, [skill], cost)
    assert many.value == pytest.approx(net_benefit, abs=0.005)


def test_the_command_leaves_a_table_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "RUNS", tmp_path)
    monkeypatch.setattr(gate, "SIZES", (24,))
    monkeypatch.setattr(gate, "CANDIDATES_A_ROW", 20 * 5)
    monkeypatch.setattr(gate, "COURSES_A_ROW", 20)
    path = gate.run(Settings(), Console(quiet=True), quick=True)
    assert path.parent == tmp_path / "bench"
    result = BenchResult.from_json(path.read_text())
    assert len(result.rows) == len(gate.CURVE) + 3 + 3 + 8
    assert {goal.name.split(":")[1].strip().split(" ")[0] for goal in result.goals} == {
        "promoted",
        "courses",
        "held",
    }
    assert path.with_suffix(".png").stat().st_size > 10_000
    assert "within_margin" in path.with_suffix(".md").read_text()
