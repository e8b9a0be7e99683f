"""What the report of an experiment says of its arms, from rows as the pool's views give them."""

import json
import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from schemas.experiment import Arm, Experiment
from streams.arms.cost import cost_of
from streams.arms.measures import ACCEPTANCE, ACCEPTED, FINAL, GENERATED, MEASURES, NET_BENEFIT
from streams.arms.observed import ArmsError, Observed, Traffic, Unit, Values, read
from streams.arms.report import POINTS, ArmRow, report
from streams.trials import ArmPrices

COST = 0.25


def experiment(**shares: float) -> Experiment:
    """`today` is the control; `none` is blind."""
    arms = [Arm(name="today", answers="champion"), Arm(name="none", answers="blind")]
    begun = Experiment(name="titles", arms=tuple(arms))
    return begun.grown(shares or {"today": 0.5, "none": 0.5})


def traffic(arm: str, **changes: Any) -> Traffic:
    given = {"answers": 10, "failed": 0, "fell_back": 0, "p50_ms": 1.0, "p90_ms": 2.0}
    tokens = {"tokens_read": 100, "tokens_written": 20, "billed_read": 0, "billed_written": 0}
    return Traffic(arm=arm, **{**given, **tokens, "engine_share": 0.5, "hours": 2.0, **changes})


def observed(closed: list[tuple[str, Values]], **changes: Any) -> Observed:
    """Each seller reviewed one answer; sellers are named so that they are in their own arm."""
    made = changes.pop("experiment", experiment())
    names = iter(f"s{n}" for n in range(1_000_000))
    units = []
    for arm, values in closed:
        seller = next(name for name in names if (own := made.arm_of(name)) and own.name == arm)
        units.append(Unit(arm, seller, 1, values))
    arms = [traffic(arm.name) for arm in made.arms]
    given = {"state": "running", "closed": closed, "units": units, "traffic": arms}
    return Observed(**{"experiment": made, **given, **changes})


def sellers(count: int, today: float, none: float = 0.0, seed: int = 0) -> list[tuple[str, Values]]:
    """In turn; each was asked for ten values, shown eight and accepts some."""
    rng, found = random.Random(seed), []
    for n in range(count):
        arm, share = ("today", today) if n % 2 else ("none", none)
        accepted = sum(rng.random() < share for _ in range(8))
        found.append((arm, Values(10, 8, accepted, 9)))
    return found


def row(made: Observed, arm: str, **prices: ArmPrices) -> ArmRow:
    return next(one for one in report(made, COST, prices).rows if one.arm == arm)


def test_a_figure_is_a_mean_of_one_number_a_seller_however_much_each_was_shown() -> None:
    closed = [("today", Values(10, 10, 10, 10)), ("today", Values(4, 2, 0, 3))]
    figures = row(observed(closed), "today").figures
    values = {measure: figures[measure].value for measure in MEASURES}
    assert values == {
        ACCEPTANCE: 0.5,
        GENERATED: 0.75,
        ACCEPTED: 0.5,
        FINAL: 0.875,
        NET_BENEFIT: pytest.approx((1 + -0.125) / 2),
    }
    assert {one.sellers for one in figures.values()} == {2}


def test_intervals_stay_in_the_range_of_what_they_measure() -> None:
    figures = row(observed([("today", Values(10, 10, 0, 0))]), "today").figures
    assert (figures[ACCEPTANCE].low, figures[ACCEPTANCE].high) == (0.0, 1.0)
    assert (figures[NET_BENEFIT].low, figures[NET_BENEFIT].high) == (-COST, 1.0)


def test_who_was_shown_more_than_was_asked_for_counts_as_shown_all() -> None:
    closed = [(arm, Values(2, 5, 3, 2)) for arm in ("today", "none") for _ in range(2)]
    found = row(observed(closed), "none")
    assert found.figures[GENERATED].value == found.figures[ACCEPTED].value == 1.0
    assert found.figures[ACCEPTANCE].value == 0.6
    assert found.fixed[GENERATED].z == 0.0


def test_an_arm_that_shows_nothing_has_no_acceptance_and_its_listings_are_measured() -> None:
    blind = row(observed([("none", Values(10, 0, 0, 6)), ("today", Values(10, 8, 6, 9))]), "none")
    assert ACCEPTANCE not in blind.figures
    assert blind.figures[NET_BENEFIT].value == 0
    assert blind.figures[FINAL].value == 0.6
    assert blind.differences[FINAL].value == pytest.approx(-0.3)


def test_a_large_difference_is_sure_and_none_is_not() -> None:
    better = row(observed(sellers(400, today=0.3, none=0.8)), "none").differences[ACCEPTANCE]
    assert 0 < better.low < 0.5 < better.high
    same = row(observed(sellers(400, today=0.5, none=0.5)), "none").differences[ACCEPTANCE]
    assert same.low < 0 < same.high


def test_the_control_is_the_first_arm_and_has_no_difference() -> None:
    rows = report(observed(sellers(10, 0.5)), COST, {}).rows
    assert [one.arm for one in rows] == ["today", "none"]
    assert rows[0].differences == {}
    assert rows[0].fixed[ACCEPTANCE].z is None


def test_beside_it_stands_the_usual_test_over_all_values_and_the_same_by_seller() -> None:
    # 30 of 100 against 50 of 100 values: the textbook's z is -2.887.
    closed = [("none", Values(10, 10, n % 2 * 6, 10)) for n in range(10)]
    closed += [("today", Values(10, 10, n % 2 * 10, 10)) for n in range(10)]
    fixed = row(observed(closed), "none").fixed[ACCEPTANCE]
    assert fixed.value == 0.3
    assert fixed.z == pytest.approx(-2.887, abs=1e-3)
    assert fixed.p == pytest.approx(0.0039, abs=1e-4)
    # Values of one seller are alike here: by seller it is no evidence at all.
    assert fixed.p_sellers is not None
    assert fixed.p_sellers > 0.2
    assert fixed.low < 0.3 < fixed.high


def test_a_path_ends_where_the_figure_stands_and_has_not_too_many_points() -> None:
    made = row(observed(sellers(500, 0.5)), "today")
    path, figure = made.paths[ACCEPTANCE], made.figures[ACCEPTANCE]
    assert len(path) <= POINTS + 1
    last = path[-1]
    assert (last.sellers, last.value, last.low) == (250, figure.value, figure.low)
    assert all(later.low >= earlier.low for earlier, later in pairwise(path))


def test_arms_without_a_seller_have_rows_without_figures() -> None:
    made = report(observed([], traffic=[]), COST, {"today": ArmPrices(machine_hour=1.0)})
    assert [(one.reviewed, one.figures, one.cost_per_thousand) for one in made.rows] == [
        (0, {}, None),
        (0, {}, None),
    ]
    assert made.ratios is not None
    assert made.ratios.p_value == 1.0


# ------------------------------------------------------------------------------------- the shares


def units_of(made: Experiment, count: int, lost: float = 0.0) -> list[Unit]:
    """Everyone who comes while it runs, but for some of the blind arm who are lost."""
    rng, found = random.Random(1), []
    for n in range(count):
        arm = made.arm_of(f"s{n}")
        if arm is not None and not (arm.name == "none" and rng.random() < lost):
            found.append(Unit(arm.name, f"s{n}", 1, Values(1, 1, 1, 1)))
    return found


def test_arms_that_get_their_shares_are_no_mismatch_and_lost_sellers_are() -> None:
    def p_value(lost: float) -> float:
        units = units_of(experiment(), 4_000, lost)
        ratios = report(observed([], units=units), COST, {}).ratios
        assert ratios is not None
        return ratios.p_value

    assert p_value(lost=0.0) > 0.05
    assert p_value(lost=0.2) < 0.01


def test_sellers_who_return_after_an_arm_has_grown_are_no_mismatch() -> None:
    small = experiment(today=0.1, none=0.1)
    grown = small.grown({"today": 0.8, "none": 0.1})
    before = [u for u in units_of(grown, 3_000) if (a := small.arm_of(u.seller)) and a.name]
    returned = [u for u in units_of(grown, 3_000) if u not in before]
    made = observed([], experiment=grown, units=before + returned)
    ratios = report(made, COST, {}).ratios
    assert ratios is not None
    assert ratios.p_value > 0.05
    assert sum(ratios.counts.values()) == len(before)


def test_who_was_answered_in_another_arm_is_counted() -> None:
    made = experiment()
    units = units_of(made, 100)
    moved = Unit("none" if units[0].arm == "today" else "today", *list(vars(units[0]).values())[1:])
    assert report(observed([], units=units), COST, {}).elsewhere == 0
    assert report(observed([], units=[*units, moved]), COST, {}).elsewhere == 1


# --------------------------------------------------------------------------------------- the cost


def test_an_engines_arm_costs_its_share_of_the_machine_hours() -> None:
    priced = row(observed(sellers(20, 0.5)), "today", today=ArmPrices(machine_hour=3.0))
    assert priced.cost_per_thousand == pytest.approx(1000 * 2.0 * 0.5 * 3.0 / 10)


def test_an_endpoints_arm_costs_its_tokens_and_the_champion_where_it_fell_back() -> None:
    paid = traffic("gpt", billed_read=2_000_000, billed_written=500_000, engine_share=0.0)
    tokens = ArmPrices(million_input_tokens=1.0, million_output_tokens=4.0)
    assert cost_of(paid, tokens) == pytest.approx(4.0)
    fell_back = traffic("gpt", billed_read=2_000_000, engine_share=0.25)
    assert cost_of(fell_back, tokens) is None
    both = tokens.model_copy(update={"machine_hour": 2.0})
    assert cost_of(fell_back, both) == pytest.approx(2.0 + 2.0 * 0.25 * 2.0)


def test_an_arm_that_shows_nothing_costs_nothing_and_without_a_price_there_is_no_cost() -> None:
    assert cost_of(traffic("none", engine_share=0.0), ArmPrices()) == 0
    assert cost_of(traffic("today"), ArmPrices()) is None
    assert row(observed(sellers(20, 0.5)), "today").cost_per_thousand is None


def test_a_right_value_costs_what_the_answers_with_a_review_cost() -> None:
    # Of ten answers two were reviewed, with eight values accepted: 0.30 an answer, 0.6 / 8 each.
    closed = [("today", Values(10, 8, 4, 9))] * 2
    priced = row(observed(closed), "today", today=ArmPrices(machine_hour=3.0))
    assert priced.cost_per_accepted == pytest.approx(0.3 * 2 / 8)


# ----------------------------------------------------------------------------------- asking for it


class Views:
    """A pool with experiments and no traffic."""

    def __init__(self, *known: tuple[str, str]) -> None:
        self.rows = []
        for n, (name, state) in enumerate(known):
            one = experiment().model_copy(update={"name": name})
            content = json.loads(one.model_dump_json())
            started = datetime(2026, 11, 1) + timedelta(days=n)
            row = (name, state, json.dumps(content["arms"]), json.dumps(content["slices"]))
            self.rows.append((*row, started))

    def __call__(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        return [], [row[:4] for row in self.rows] if "FROM experiments" in sql else []


def test_without_a_name_the_running_experiment_is_taken_before_a_canary_and_else_the_last() -> None:
    views = Views(("old", "ended"), ("titles", "running"), ("canary:r1", "running"))
    assert read(views).experiment.name == "titles"
    assert read(Views(("old", "ended"), ("canary:r1", "running"))).experiment.name == "canary:r1"
    assert read(Views(("old", "ended"), ("new", "ended"))).experiment.name == "new"
    made = read(views, "old")
    assert (made.experiment.name, made.state) == ("old", "ended")
    assert made.experiment.slices == experiment().slices


def test_an_experiment_that_is_not_there_is_told_in_one_sentence() -> None:
    with pytest.raises(ArmsError, match=r"no experiment has run .* \[streams.experiment\]"):
        read(Views())
    with pytest.raises(ArmsError, match="no experiment 'x'; take one of titles"):
        read(Views(("titles", "running")), "x")
