"""A value is suggested in constrained mode where it is worth its risk."""

import pytest

from infra.experiment.calibrated import worth_their_risk
from schemas.category import AttributeType
from schemas.events import Mode
from serving.calibration import POOLED, Calibration, Curve


def thresholds(probabilities: tuple[float, ...], cost: float = 0.25) -> float | None:
    """What becomes of a curve with these probabilities from confidences 0.1, 0.4 and 0.7 on."""
    curve = Curve(
        mode=Mode.CONSTRAINED,
        kind=POOLED,
        starts=(0.1, 0.4, 0.7)[: len(probabilities)],
        probabilities=probabilities,
        threshold=None,
        examples=60,
    )
    fitted = Calibration(target_precision=0.0, curves=(curve,))
    return worth_their_risk(fitted, cost).threshold(Mode.CONSTRAINED, AttributeType.ENUM)


@pytest.mark.parametrize(
    ("probabilities", "threshold"),
    [
        ((0.1, 0.2, 0.9), 0.4),
        ((0.05, 0.19, 0.21), 0.7),
        ((0.2, 0.5, 0.9), None),
        ((0.01, 0.02, 0.03), 1.0),
    ],
)
def test_blank_is_what_is_less_probable_than_its_cost_allows(
    probabilities: tuple[float, ...], threshold: float | None
) -> None:
    assert thresholds(probabilities) == threshold


def test_what_costs_nothing_is_always_suggested_and_what_costs_much_seldom() -> None:
    assert thresholds((0.0, 0.2, 0.9), cost=0.0) is None
    assert thresholds((0.1, 0.4, 0.9), cost=4.0) == 0.7
