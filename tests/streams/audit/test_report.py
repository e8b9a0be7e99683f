"""The report: what decides, per adapter and kind, and what auditors make of the same values."""

import math

import pytest

from streams.audit.page import markdown, summary
from streams.audit.prediction_powered import Estimate
from streams.audit.record import Said, Verdict
from streams.audit.report import COMPLETENESS, make_report, read_completeness
from streams.audit.sampling import Item, Sample
from streams.audit.stratifying import Stratum
from streams.sql.guard import SqlGuard
from tests.streams.audit.test_sampling import Asking
from tests.streams.world import World, prediction, request, review

COMPLETENESS_OF = {"old": Estimate(0.5, 0.4, 0.6, 0.05, 90), "new": Estimate(0.9, 0.8, 1, 0.05, 90)}


def stratum(adapter: str, values: int, drawn: int) -> Stratum:
    return Stratum(
        adapter_id=adapter, low=0, high=99, values=values, mean_score=0.5, scores={}, drawn=drawn
    )


def item(number: int, place: int) -> Item:
    return Item(
        prediction_id=f"p{number}",
        attribute="Colour" if number % 2 else "Style",
        value=["red"],
        listing_sha256="0" * 64,
        category="Lamps",
        category_schema_hash="h",
        adapter_id=("old", "new")[place],
        confidence=0.5,
        score=0.5,
        stratum=place,
    )


SAMPLE = Sample(
    audit="spring",
    seed=7,
    until="2026-11-28 12:00:00",
    strata=[stratum("old", 100, 10), stratum("new", 300, 10)],
    items=[item(number, number // 10) for number in range(20)],
)


def says(verdicts: str, who: str = "ann") -> dict[tuple[str, str], Verdict]:
    """A letter a value: r(ight), w(rong), ?; a space for none."""
    words: dict[str, Said] = {"r": "right", "w": "wrong", "?": "cannot_tell"}
    return {
        i.key: Verdict(
            auditor=who,
            prediction_id=i.prediction_id,
            attribute=i.attribute,
            value=i.value,
            category_schema_hash="h",
            verdict=words[letter],
        )
        for i, letter in zip(SAMPLE.items, verdicts, strict=False)
        if letter != " "
    }


def test_strata_weigh_by_their_values() -> None:
    made = make_report(SAMPLE, {"ann": says("r" * 5 + "w" * 5 + "r" * 10)}, {})
    assert made.classical.value == pytest.approx(0.25 * 0.5 + 0.75)
    assert made.decides.value == pytest.approx(made.classical.value)  # all scores are equal
    by = {group.name: group.classical.value for group in made.groups}
    assert (by["old"], by["new"]) == (0.5, 1.0)


def test_what_nobody_could_tell_is_left_out_and_counted() -> None:
    made = make_report(SAMPLE, {"ann": says("??" + "r" * 10)}, {})
    assert (made.judged, made.cannot_tell, made.auditors) == (10, 2, {"ann": 12})


def test_a_value_that_two_judge_differently_is_half_right_and_listed() -> None:
    both = {"ann": says("rrrr"), "bo": says("rrrw", "bo")}
    made = make_report(SAMPLE, both, {})
    assert made.classical.value == pytest.approx(3.5 / 4)
    (different,) = made.disagreements
    assert different.verdicts == {"ann": "right", "bo": "wrong"}
    (pair,) = made.pairs
    assert (pair.agreement.both, pair.agreement.agreed) == (4, 3)


def test_correct_completeness_is_told_before_and_after() -> None:
    made = make_report(SAMPLE, {"ann": says("rw" * 5 + "r" * 10)}, COMPLETENESS_OF)
    old, new = made.adapters
    assert old.correct_completeness.value == pytest.approx(0.5 * 0.5)
    assert new.correct_completeness.value == pytest.approx(0.9)
    assert made.change is not None
    assert made.change.value == pytest.approx(0.65)


def test_the_page_has_what_decides_and_what_was_drawn() -> None:
    made = make_report(SAMPLE, {"ann": says("rw" * 10)}, COMPLETENESS_OF)
    page = markdown(made)
    assert "| prediction-powered | 0.500 |" in page
    assert "20 of 400 suggested values were drawn (seed 7" in summary(made)


def test_completeness_is_that_of_live_answers_with_the_error_of_sellers(world: World) -> None:
    for seller, filled in (("a", 4), ("b", 2)):
        for number in range(3):
            asked = request(f"{seller}{number}", seller_id=seller)
            answer = prediction(asked, filled)
            world.feed(asked, answer, review(answer))
    SqlGuard().check(COMPLETENESS)
    found = read_completeness(Asking(world))["base"]
    assert (found.value, found.audited) == (0.75, 6)
    # Two sellers with 3 listings each, 0.25 above and below: √(2/1 · 2 · 0.75²) / 6.
    assert found.error == pytest.approx(math.sqrt(2 * 2 * 0.75**2) / 6)
