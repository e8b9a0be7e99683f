"""Arms side by side, counted by hand."""

import pytest

from schemas.category import AttributeType
from schemas.events import Mode
from serving.calibration import POOLED, Calibration, Curve
from serving.settings import ServingSettings
from trainer.errors import TrainingError
from trainer.judging.calibrate import Suggestion
from trainer.judging.comparison import ENDPOINT, cost_per_thousand, markdown, rich_table, table
from trainer.judging.evaluate import Evaluation, EvaluationKey, ListingScore
from trainer.judging.reliability import calibration_error, judged_suggestions, reliability
from trainer.settings import Prices

KEY = EvaluationKey.of("a" * 64, "b" * 64, "c" * 64, ServingSettings())


def said(confidence: float, right: bool) -> Suggestion:
    return Suggestion(AttributeType.ENUM, confidence, right)


def evaluation(*right: int, key: EvaluationKey = KEY, **more: object) -> Evaluation:
    """Listings of ten attributes, all labelled: five suggested, so many of them right."""
    scores = [
        ListingScore(
            listing_id=f"l{number}",
            asked=10,
            valid=5,
            labelled=10,
            suggested=5,
            right=count,
            seconds=1.0,
            values={},
            invalid={"colour": "mauve"},
            **more,  # type: ignore[arg-type]
        )
        for number, count in enumerate(right)
    ]
    return Evaluation(key=key, adapter_id="x", listings=scores, seconds=7.2)


def test_each_arm_is_compared_with_the_reference_pair_by_pair() -> None:
    base, better = table({"base": evaluation(1, 3, 5), "r1": evaluation(2, 4, 6)}, "base", 0.25)
    assert base.differences == {}
    gain = better.differences["recall"]
    # Listings differ, but each of them gained one attribute of ten.
    assert (gain.value, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))
    assert better.shares["recall"].low < better.shares["recall"].value
    # Five filled and one refused of ten: four were left blank.
    assert better.abstention == pytest.approx(0.4)


def test_completeness_over_required_attributes_is_a_column_where_there_are_any() -> None:
    needy = {"base": evaluation(1, 3, required=4, required_valid=3)}
    [row] = table(needy, "base", 0.25)
    assert row.required == pytest.approx(0.75)
    assert "required filled" in markdown([row])
    [row] = table({"base": evaluation(1, 3)}, "base", 0.25)
    assert row.required is None
    assert "required filled" not in markdown([row])


def test_arms_that_saw_other_listings_cannot_be_compared() -> None:
    with pytest.raises(TrainingError, match="other listings"):
        table({"base": evaluation(1, 2), "r1": evaluation(1, 2, 3)}, "base", 0.25)


def test_the_calibration_error_is_the_mean_distance_of_confidence_and_share_right() -> None:
    bins = reliability([said(0.95, True), said(0.95, False), said(0.1, False), said(1.0, True)])
    assert [(b.low, b.count) for b in bins] == [(0.1, 1), (0.9, 3)]
    assert bins[1].right == pytest.approx(2 / 3)
    expected = (abs(0.1 - 0) + 3 * abs(2.9 / 3 - 2 / 3)) / 4
    assert calibration_error(bins) == pytest.approx(expected)
    assert calibration_error([]) is None


def test_a_calibration_turns_confidence_into_the_probability_that_is_judged() -> None:
    half = Curve(
        mode=Mode.FREE, kind=POOLED, starts=(0.0,), probabilities=(0.5,), threshold=None, examples=9
    )
    calibration = Calibration(target_precision=0.0, curves=(half,))
    made = evaluation(1, suggestions=(said(0.95, True), said(0.95, False)))
    assert {s.confidence for s in judged_suggestions(made)} == {0.95}
    assert {s.confidence for s in judged_suggestions(made, calibration)} == {0.5}
    (row,) = table({"r1": made}, "r1", 0.25, calibrations={"r1": calibration})
    assert row.calibration_error == pytest.approx(0.0)


def test_our_machine_costs_by_the_hour_and_an_endpoint_by_the_token() -> None:
    ours = evaluation(1, 2)
    theirs = evaluation(
        1, 2, key=EvaluationKey.of_baseline(ENDPOINT + "m", "c"), tokens_computed=600,
        logits_computed=100,
    )  # fmt: skip
    assert cost_per_thousand(ours, Prices()) is None
    assert cost_per_thousand(theirs, Prices(machine_hour=1.0)) is None
    # 7.2 s for two listings: an hour for a thousand.
    assert cost_per_thousand(ours, Prices(machine_hour=3.0)) == pytest.approx(3.0)
    prices = Prices(million_input_tokens=2.0, million_output_tokens=10.0)
    assert cost_per_thousand(theirs, prices) == pytest.approx(500e-3 * 2 + 100e-3 * 10)


def test_a_table_leaves_out_what_no_arm_has() -> None:
    arms = {"base": evaluation(1, 3), "r1|a": evaluation(2, 4, suggestions=(said(0.9, True),))}
    text = markdown(table(arms, "base", 0.25))
    assert text.count("\n") == 4
    assert "calibration error" in text
    assert "cost" not in text
    assert "r1\\|a" in text
    assert "+0.100 [+0.100, +0.100]" in text
    priced = table(arms, "base", 0.25, Prices(machine_hour=3.0))
    assert "cost / 1,000" in markdown(priced)
    assert len(rich_table(priced).columns) == len(markdown(priced).splitlines()[0].split(" | "))


def test_groups_are_evaluations_of_their_own() -> None:
    made = evaluation(1, 2, 3, category="Kitchen > Kettles")
    lamp = made.listings[1].model_copy(update={"category": "Lamps", "inputs": "text+image"})
    made = made.model_copy(update={"listings": [made.listings[0], lamp, made.listings[2]]})
    groups = made.groups(lambda score: score.category_group)
    assert {name: len(own.listings) for name, own in groups.items()} == {"Kitchen": 2, "Lamps": 1}
    assert groups["Kitchen"].ratio("recall").value == pytest.approx(4 / 20)
    assert sum(own.seconds for own in groups.values()) == pytest.approx(made.seconds)
    assert set(made.groups(lambda score: score.inputs)) == {"text", "text+image"}
