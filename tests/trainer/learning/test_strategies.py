"""From where, on what and for how long a round is trained, by each strategy."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from serving.adapter_file import AdapterFile
from serving.listing import Listing
from trainer.data.dataset import Row
from trainer.learning.strategies import STRATEGIES, Earlier, Plan, Situation, replayed_rows
from trainer.settings import TrainerSettings

PARENT = AdapterFile("default-r2-a1", "h" * 64, "b" * 64, 2, 2.0, {}, b"")


def row(listing_id: str, category: str = "Mugs") -> Row:
    return Row(Listing(listing_id, category, "a mug", ""), (), {})


def earlier(number: int, *rows: Row) -> Earlier:
    return Earlier(number, lambda: list(rows))


def ids(rows: Sequence[Row]) -> list[str]:
    return [row.listing.listing_id for row in rows]


ROUNDS = (earlier(1, row("r1-a"), row("r1-b")), earlier(2, row("r2-a"), row("r2-b")))
NEW = tuple(row(f"new-{number}") for number in range(6))


def plan(strategy: str, parent: AdapterFile | None = PARENT, **changes: object) -> Plan:
    settings = TrainerSettings.model_validate({"steps": 10, **changes})
    return STRATEGIES[strategy](Situation(parent, ROUNDS if parent else (), NEW, settings))


def test_progressive_trains_the_parent_on_the_new_listings_and_reads_no_earlier_ones() -> None:
    def read() -> list[Row]:
        raise AssertionError

    situation = Situation(PARENT, [Earlier(1, read)], NEW, TrainerSettings(steps=10))
    assert STRATEGIES["progressive"](situation) == Plan(PARENT, list(NEW), 10)


def test_cumulative_trains_the_base_on_all_listings_so_far_in_the_same_steps() -> None:
    made = plan("cumulative")
    assert made.start is None
    assert ids(made.rows) == ["r1-a", "r1-b", "r2-a", "r2-b", *ids(NEW)]
    assert (made.steps, made.parent_share) == (10, 0.0)


def test_cumulative_scaled_takes_steps_in_proportion_to_the_rounds() -> None:
    assert plan("cumulative-scaled") == replace(plan("cumulative"), steps=30)
    assert plan("cumulative-scaled", parent=None).steps == 10


def test_replay_adds_earlier_listings_and_averages_with_the_parent() -> None:
    made = plan("replay", replay_share=0.25, average_with_parent=0.3)
    assert made.start is PARENT
    assert ids(made.rows) == ["r2-a", "r1-a", *ids(NEW)]  # 2 of 8 are a quarter
    assert (made.steps, made.parent_share) == (10, 0.3)


@pytest.mark.parametrize(
    ("off", "rows", "share"), [("replay_share", 6, 0.25), ("average_with_parent", 8, 0.0)]
)
def test_each_part_of_replay_can_be_switched_off_alone(off: str, rows: int, share: float) -> None:
    made = plan("replay", **{off: 0.0})
    assert (len(made.rows), made.parent_share) == (rows, share)


def test_without_its_parts_and_in_the_first_round_replay_is_progressive() -> None:
    assert plan("replay", replay_share=0.0, average_with_parent=0.0) == plan("progressive")
    assert plan("replay", parent=None) == plan("progressive", parent=None)
    assert plan("replay", parent=None).start is None


def test_replayed_listings_are_the_hardest_of_each_category_in_turn() -> None:
    rounds = [
        earlier(1, row("m1"), row("m2"), row("m3"), row("lamp1", "Lamps")),
        earlier(2, row("m4"), row("m5"), row("lamp2", "Lamps")),
    ]
    assert ids(replayed_rows(rounds, 5)) == ["m4", "lamp2", "m1", "lamp1", "m5"]


def test_no_more_is_replayed_than_there_is() -> None:
    assert len(replayed_rows(ROUNDS, 50)) == 4
    assert replayed_rows([], 3) == []
