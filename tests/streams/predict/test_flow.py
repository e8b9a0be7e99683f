"""What is under way is bounded, and only a gapless prefix of what is done is committed."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from unittest.mock import Mock

import pytest

from streams.predict.flow import LIVE_PER_BACKFILL, Confirmations, Gate, Lane, Ledger, Slot

PLACE = ("listing.requests", 0)


def test_commits_never_pass_an_offset_that_is_not_done() -> None:
    async def scenario() -> None:
        ledger = Ledger(window=100)
        offsets = list(range(7, 57))
        for offset in offsets:
            assert await ledger.start(PLACE, offset)
        done: set[int] = set()
        for offset in random.Random(1).sample(offsets, len(offsets)):
            ledger.done(PLACE, offset)
            done.add(offset)
            committed = ledger.take_commits().get(PLACE)
            if committed is not None:
                assert done >= set(range(7, committed))
                assert committed not in done
        assert committed == 57

    asyncio.run(scenario())


def test_an_offset_delivered_twice_is_begun_once() -> None:
    async def scenario() -> None:
        ledger = Ledger(window=10)
        assert await ledger.start(PLACE, 1)
        assert not await ledger.start(PLACE, 1)

    asyncio.run(scenario())


def test_what_was_revoked_is_not_committed() -> None:
    async def scenario() -> None:
        ledger = Ledger(window=10)
        await ledger.start(PLACE, 1)
        before = ledger.epoch
        ledger.forget()
        assert ledger.epoch != before  # who begins one after the other looks at it
        ledger.done(PLACE, 1)
        assert ledger.take_commits() == {}

    asyncio.run(scenario())


def test_what_waited_for_room_when_it_was_revoked_is_not_begun() -> None:
    async def scenario() -> None:
        ledger = Ledger(window=1)
        await ledger.start(PLACE, 1)
        second = asyncio.ensure_future(ledger.start(PLACE, 2))
        await asyncio.sleep(0)
        ledger.forget()
        assert not await second
        assert await ledger.start(PLACE, 1)  # delivered again
        ledger.done(PLACE, 2)
        assert ledger.take_commits() == {}

    asyncio.run(scenario())


def test_the_window_stops_the_reading_behind_one_slow_request() -> None:
    async def scenario() -> None:
        ledger = Ledger(window=2)
        await ledger.start(PLACE, 1)
        await ledger.start(PLACE, 2)
        ledger.done(PLACE, 2)
        third = asyncio.ensure_future(ledger.start(PLACE, 3))
        await asyncio.sleep(0.01)
        assert not third.done()
        ledger.done(PLACE, 1)
        assert await third

    asyncio.run(scenario())


def test_orders_that_fill_the_window_leave_sellers_theirs() -> None:
    async def scenario() -> None:
        ledger = Ledger(window=2)
        order = "listing.backfill"
        for offset in (1, 2):
            await ledger.start((order, offset), offset)  # of any partition
        third = asyncio.ensure_future(ledger.start((order, 3), 3))
        await asyncio.wait_for(ledger.start(PLACE, 1), 1)
        assert ledger.under_way((order, 3))
        assert not ledger.under_way(("listing.requests", 1))
        assert not third.done()
        ledger.done((order, 1), 1)
        assert await third

    asyncio.run(scenario())


async def order_of_service(slots: int, live: int, backfill: int) -> list[Lane]:
    """Both lanes ask one after another, as agents do; each request is done at once."""
    gate = Gate(slots)
    served: list[Lane] = []

    async def lane(which: Lane, count: int) -> None:
        for _ in range(count):
            await gate.acquire(which)
            served.append(which)
            asyncio.get_running_loop().call_soon(gate.release, which)

    await asyncio.gather(lane(Lane.BACKFILL, backfill), lane(Lane.LIVE, live))
    return served


def test_live_goes_first_and_backfill_gets_a_tenth() -> None:
    served = asyncio.run(order_of_service(slots=1, live=200, backfill=200))
    both_waiting = served[: served.index(Lane.BACKFILL, 150)]
    share = both_waiting.count(Lane.BACKFILL) / len(both_waiting)
    assert 1 / (LIVE_PER_BACKFILL + 1) <= share < 0.2
    assert served.count(Lane.LIVE) == served.count(Lane.BACKFILL) == 200


def test_backfill_never_takes_all_slots() -> None:
    async def scenario() -> None:
        gate = Gate(4)
        orders = [asyncio.ensure_future(gate.acquire(Lane.BACKFILL)) for _ in range(4)]
        await asyncio.sleep(0)
        await asyncio.wait_for(gate.acquire(Lane.LIVE), 1)
        assert sum(order.done() for order in orders) == 2
        for order in orders:
            order.cancel()

    asyncio.run(scenario())


def test_a_slot_that_is_given_back_is_taken_again_once_and_released_once() -> None:
    async def scenario() -> None:
        gate = Gate(1)
        slot, other = Slot(gate, Lane.LIVE), Slot(gate, Lane.LIVE)
        await slot.acquire()
        await slot.acquire()
        slot.release()
        await asyncio.wait_for(other.acquire(), 1)
        again = asyncio.ensure_future(slot.acquire())
        await asyncio.sleep(0)
        assert not again.done()
        other.release()
        other.release()
        await asyncio.wait_for(again, 1)
        third = asyncio.ensure_future(gate.acquire(Lane.LIVE))
        await asyncio.sleep(0)
        assert not third.done()
        third.cancel()

    asyncio.run(scenario())


# ------------------------------------------------------------------------------------- shadow


async def is_waiting(turn: asyncio.Future[None]) -> bool:
    """Whether `turn` is still not granted after everything else has run."""
    for _ in range(5):
        await asyncio.sleep(0)
    return not turn.done()


@pytest.mark.parametrize("other", [Lane.LIVE, Lane.BACKFILL])
def test_a_shadow_begins_only_while_nothing_else_is_under_way(other: Lane) -> None:
    async def scenario() -> None:
        gate = Gate(4)
        await gate.acquire(other)
        turn = asyncio.ensure_future(Slot(gate, Lane.SHADOW).acquire())
        assert await is_waiting(turn)
        gate.release(other)
        await asyncio.wait_for(turn, 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("other", [Lane.LIVE, Lane.BACKFILL])
def test_a_shadow_takes_no_slot_and_is_told_to_give_way(other: Lane) -> None:
    async def scenario() -> None:
        gate = Gate(1)
        slot = Slot(gate, Lane.SHADOW)
        await slot.acquire()
        assert slot.give_way is not None
        assert not slot.give_way.done()
        await asyncio.wait_for(gate.acquire(other), 1)
        assert slot.give_way.done()
        # It comes to its turn again with a new word, once the other is done.
        slot.release()
        again = asyncio.ensure_future(slot.acquire())
        assert await is_waiting(again)
        gate.release(other)
        await asyncio.wait_for(again, 1)
        assert not slot.give_way.done()

    asyncio.run(scenario())


def test_one_shadow_is_under_way_at_a_time() -> None:
    async def scenario() -> None:
        gate = Gate(8)
        first, second = Slot(gate, Lane.SHADOW), Slot(gate, Lane.SHADOW)
        await first.acquire()
        turn = asyncio.ensure_future(second.acquire())
        assert await is_waiting(turn)
        first.release()
        await asyncio.wait_for(turn, 1)

    asyncio.run(scenario())


def test_a_shadow_waits_while_somebody_waits_for_a_slot() -> None:
    async def scenario() -> None:
        gate = Gate(1)
        await gate.acquire(Lane.BACKFILL)
        shadow = asyncio.ensure_future(Slot(gate, Lane.SHADOW).acquire())
        assert await is_waiting(shadow)
        seller = asyncio.ensure_future(gate.acquire(Lane.LIVE))
        assert await is_waiting(seller)
        gate.release(Lane.BACKFILL)
        await asyncio.wait_for(seller, 1)
        assert await is_waiting(shadow)
        assert not gate.crowded()  # nobody whom the engine holds up
        gate.release(Lane.LIVE)
        await asyncio.wait_for(shadow, 1)

    asyncio.run(scenario())


def begun(count: int) -> list[Future[int]]:
    """So many that somebody is to finish."""
    return [Future() for _ in range(count)]


async def wait_for_each(
    confirmed: Confirmations, works: list[Future[int]]
) -> list[asyncio.Task[int]]:
    """Tasks that wait for each of `works`."""
    waiting = [asyncio.ensure_future(confirmed.wait(work)) for work in works]
    await asyncio.sleep(0)
    return waiting


def finish(works: list[Future[int]]) -> None:
    """Each with its place as the result."""
    for at, work in enumerate(works):
        work.set_result(at)


def in_a_thread(do: Callable[[], object]) -> None:
    """Does it in another thread, while the event loop stands still."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(do).result()


def test_what_is_done_together_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        wake = Mock(wraps=loop.call_soon_threadsafe)
        monkeypatch.setattr(loop, "call_soon_threadsafe", wake)
        confirmed = Confirmations()
        for batch in (1, 2):
            works = begun(100)
            waiting = await wait_for_each(confirmed, works)
            in_a_thread(partial(finish, works))
            assert await asyncio.gather(*waiting) == list(range(100))
            assert wake.call_count == batch

    asyncio.run(scenario())


def test_whoever_waits_is_told_that_it_failed_and_nobody_waits_for_who_gave_up() -> None:
    async def scenario() -> None:
        works = begun(3)
        gave_up, fails, succeeds = await wait_for_each(Confirmations(), works)
        gave_up.cancel()
        in_a_thread(partial(works[1].set_exception, OSError("full")))
        in_a_thread(partial(finish, [works[0], works[2]]))
        assert await succeeds == 1
        with pytest.raises(OSError, match="full"):
            await fails
        assert gave_up.cancelled()

    asyncio.run(scenario())


def test_nothing_that_is_done_while_the_loop_turns_is_missed() -> None:
    async def scenario() -> None:
        works = begun(5000)
        waiting = await wait_for_each(Confirmations(), works)
        with ThreadPoolExecutor(2) as threads:
            for half in (works[::2], works[1::2]):
                threads.submit(finish, half)
            await asyncio.wait_for(asyncio.gather(*waiting), 60)

    asyncio.run(scenario())
