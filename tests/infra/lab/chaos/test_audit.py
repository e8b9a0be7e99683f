"""The audit finds nothing in a log where all went well, and counts what is no fault."""

from dataclasses import replace
from pathlib import Path

from infra.lab.chaos.run import compare
from schemas.events import (
    Status,
)
from streams.replay.fingerprint import Fingerprint
from streams.replay.rebuild import Replayed
from tests.infra.lab.chaos.logs import World


def test_where_all_went_well_nothing_is_found(world: World) -> None:
    found = world.audit()
    assert found.faults == ()
    assert found.clean
    assert (found.requests, found.reviews, found.rounds, found.promotions) == (2, 2, 1, 1)


def test_expired_counts_apart_where_triton_was_down_meanwhile(world: World) -> None:
    for name, asked_ms, answered_ms in (("x1", 90_000, 105_000), ("x2", 120_000, 180_000)):
        world.ask(name, at_ms=asked_ms)
        world.answer(name, f"p-{name}", at_ms=answered_ms, status=Status.EXPIRED)
    world.change_pool(
        requests=world.pool.requests | {"x1", "x2"},
        predictions={**world.pool.predictions, "x1": "p-x1", "x2": "p-x2"},
    )
    found = world.audit()
    assert (found.expired, found.expired_with_triton) == (2, 1)
    assert found.expired_share == 1 / 4
    assert found.faults == ()
    assert not found.clean


def test_a_table_that_the_topics_do_not_give_and_a_pool_that_cannot_be_read_are_faults() -> None:
    same, other = Fingerprint(2, 1), Fingerprint(2, 5)
    rebuilt = Replayed(Path("pool"), {"reviews": same, "samples": same}, None, "it is locked")
    assert [fault.what for fault in compare(rebuilt)] == ["it is locked"]
    assert compare(replace(rebuilt, live=rebuilt.rebuilt)) == []
    [fault] = compare(replace(rebuilt, live={"reviews": same, "samples": other}))
    assert fault.kind == "strange"
    assert "the pool's samples are not those that the topics give" in fault.what
