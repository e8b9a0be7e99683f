"""Whether pool and topics belong together: what is refused, in which words, and what is not."""

from pathlib import Path

import pytest

from streams.pool.errors import PoolRefused
from streams.pool.origin import check_bounds, check_not_ahead, deleted
from tests.streams.world import World

POOL = Path("pool.duckdb")
PLACE = ("listing.reviews", 2)


def test_a_pool_behind_retention_is_refused_with_two_ways_out() -> None:
    with pytest.raises(PoolRefused, match=r"records 5 to 8 of listing\.reviews\[2\] were") as said:
        check_bounds({PLACE: 5}, {PLACE: (9, 20)}, POOL)
    assert "`listune replay --accept-deleted`" in str(said.value)
    assert "`listune replay --swap`" in str(said.value)


def test_a_pool_ahead_of_the_log_is_refused_with_what_to_do() -> None:
    with pytest.raises(PoolRefused, match="the log ends at 4: it has lost records") as said:
        check_bounds({PLACE: 5}, {PLACE: (0, 4)}, POOL)
    assert "`listune replay --swap`" in str(said.value)
    with pytest.raises(PoolRefused, match="the log ends at 0"):
        check_not_ahead({PLACE: 5}, {}, POOL)


@pytest.mark.parametrize("expected", [3, 4, 20])
def test_a_pool_that_stands_within_the_log_is_welcome(expected: int) -> None:
    check_bounds({PLACE: expected}, {PLACE: (3, 20)}, POOL)
    assert deleted({PLACE: expected}, {PLACE: (3, 20)}) == {}


def test_a_new_pool_begins_where_the_log_does_and_is_behind_if_that_is_deleted(
    world: World,
) -> None:
    bounds = {PLACE: (7, 9), ("listing.requests", 0): (0, 0)}
    world.pool.join_log(bounds)
    assert world.pool.watermarks() == {PLACE: 7, ("listing.requests", 0): 0}
    world.reopen()
    world.pool.join_log(bounds)
    with pytest.raises(PoolRefused, match=r"records 0 to 2 of listing\.requests\[0\]"):
        world.pool.join_log({**bounds, ("listing.requests", 0): (3, 3)})
    world.pool.join_log({**bounds, ("listing.requests", 1): (4, 4)})  # a partition was added
    assert world.pool.watermark("listing.requests", 1) == 4
