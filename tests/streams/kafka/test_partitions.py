"""Of each partition exactly the offset that the pool expects comes next."""

from streams.kafka.partitions import STALLED_S, Partitions

PLACE = ("listing.reviews", 0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_the_expected_offset_is_accepted() -> None:
    partitions = Partitions()
    partitions.begin({PLACE: 5})
    assert [partitions.accept(PLACE, offset) for offset in (4, 6, 5, 5, 6)] == [
        False, False, True, False, True,
    ]  # fmt: skip
    assert partitions.expected(PLACE) == 7


def test_what_lies_behind_a_hole_of_the_log_alone_comes_next() -> None:
    partitions = Partitions()
    partitions.begin({PLACE: 1})
    assert partitions.accept(PLACE, 2, since=0)  # what was read before reaches up to the record
    assert partitions.accept(PLACE, 4, since=3)
    assert partitions.expected(PLACE) == 5


def test_what_lies_behind_records_that_were_not_delivered_does_not() -> None:
    partitions = Partitions()
    partitions.begin({PLACE: 1})
    assert not partitions.accept(PLACE, 4, since=2)
    assert not partitions.accept(PLACE, 0, since=0)
    assert partitions.expected(PLACE) == 1


def test_a_partition_of_which_nothing_came_yet_begins_at_0() -> None:
    partitions = Partitions()
    assert partitions.accept(PLACE, 0)
    assert (partitions.expected(PLACE), partitions.in_flight()) == (1, 1)


def test_a_replay_is_over_at_the_ends_that_stood_at_the_start() -> None:
    partitions = Partitions()
    assert not partitions.caught_up()
    partitions.expect(PLACE, 0)
    partitions.see_ends({PLACE: 2})
    assert (partitions.lag(), partitions.caught_up()) == (2, False)
    partitions.expect(PLACE, 2)
    partitions.see_ends({PLACE: 9})
    assert (partitions.lag(), partitions.caught_up()) == (7, True)


def test_a_partition_that_does_not_move_is_sought_again_and_again_but_not_at_once() -> None:
    clock = Clock()
    partitions = Partitions(clock)
    partitions.expect(PLACE, 3)
    partitions.see_ends({PLACE: 9})
    assert partitions.stalled() == {}
    clock.now = STALLED_S
    assert partitions.stalled() == {PLACE: 3}
    assert partitions.stalled() == {}
    clock.now = 2 * STALLED_S
    assert partitions.stalled() == {PLACE: 3}
    partitions.see_ends({PLACE: 3})
    clock.now = 9 * STALLED_S
    assert partitions.stalled() == {}


def test_a_position_is_what_the_pool_has_not_what_it_is_given() -> None:
    partitions = Partitions()
    partitions.expect(PLACE, 5)
    partitions.accept(PLACE, 5)
    assert partitions.positions() == {PLACE: 5}
    partitions.applied({PLACE: 6})
    assert partitions.positions() == {PLACE: 6}
