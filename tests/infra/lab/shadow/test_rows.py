"""What a row says of its blocks."""

import pytest

from infra.lab.canary.market import Heard
from infra.lab.chaos.evidence import Logged, Topics
from infra.lab.shadow.run import Block, rows
from schemas.events import ListingPrediction, Purpose, Status

BLOCKS = [Block(False, 100.0, 110.0, 0), Block(True, 120.0, 130.0, 5)]


def answer(at_s: float, purpose: Purpose, status: Status = Status.OK) -> Logged[ListingPrediction]:
    event = ListingPrediction(
        prediction_id="p",
        request_id="q",
        listing_id="l",
        category="Lamps",
        category_schema_hash="h",
        input_hash="i",
        status=status,
        purpose=purpose,
    )
    return Logged(event, ("listing.predictions", 0), 0, round(1000 * at_s))


@pytest.mark.slow
def test_each_arm_has_what_fell_into_its_blocks_and_nothing_of_between() -> None:
    # One a second from before the first block to after the last.
    heard = [
        Heard(asked_s=at, waited_s=0.2 if at >= 115 else 0.1, latency_ms=50.0)
        for at in map(float, range(90, 140))
    ]
    shadows = [answer(at, Purpose.SHADOW) for at in (118.0, 121.0, 125.0, 131.0)]
    late = answer(126.0, Purpose.SHADOW, Status.SUPERSEDED)
    topics = Topics(predictions=[*shadows, late, answer(122.0, Purpose.LIVE)])
    without, beside, ratio = rows(BLOCKS, heard, topics, lost=0, seed=1)
    assert (without.figure("requests"), beside.figure("requests")) == (10, 10)
    assert (without.figure("shadow_answers_per_s"), without.figure("broken_off_per_s")) == (0, 0)
    assert (beside.figure("shadow_answers_per_s"), beside.figure("broken_off_per_s")) == (0.2, 0.5)
    assert beside.figure("shadow_superseded") == 1
    assert (without.figure("wait_p99_ms"), beside.figure("wait_p99_ms")) == (100, 200)
    assert (ratio.figure("wait_p99_ratio"), ratio.figure("predict_p99_ratio")) == (2, 1)
