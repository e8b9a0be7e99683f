"""The day's budget, in its file."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from serving.endpoint.spend import Budget, Spend, SpendError

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "spend.json"


def test_a_day_has_so_many_requests(path: Path) -> None:
    spend = Spend(path, Budget(requests=2))
    assert [spend.reserve(0.0, NOON) for _ in range(3)] == ["2026-11-28", "2026-11-28", None]


def test_what_is_under_way_counts_with_what_it_may_cost_at_most(path: Path) -> None:
    spend = Spend(path, Budget(money=1.0))
    now = datetime.now(UTC)
    day = spend.reserve(0.6, now)
    assert day is not None
    assert spend.reserve(0.6, now) is None
    spend.settle(day, reserved=0.6, money=0.1)
    assert spend.today().money == pytest.approx(0.1)
    assert spend.reserve(0.6, now) == day


def test_what_was_spent_outlives_the_worker(path: Path) -> None:
    Spend(path, Budget(requests=1)).reserve(0.0, NOON)
    assert Spend(path, Budget(requests=1)).reserve(0.0, NOON) is None


def test_the_day_is_the_utc_day(path: Path) -> None:
    spend = Spend(path, Budget(requests=1))
    east = timezone(timedelta(hours=9))
    assert spend.reserve(0.0, datetime(2026, 11, 29, 8, tzinfo=east)) == "2026-11-28"
    assert spend.reserve(0.0, datetime(2026, 11, 29, 10, tzinfo=east)) == "2026-11-29"


def test_a_clock_that_is_set_back_does_not_begin_the_day_anew(path: Path) -> None:
    spend = Spend(path, Budget(requests=1))
    spend.reserve(0.0, NOON)
    assert spend.reserve(0.0, NOON - timedelta(days=1)) is None


def test_a_day_that_is_over_is_not_put_right_on_the_next(path: Path) -> None:
    spend = Spend(path, Budget(money=1.0))
    spend.settle("2020-01-01", reserved=0.5, money=0.9)
    assert spend.today().money == 0.0


def test_several_workers_at_once_do_not_go_beyond_it_together(path: Path) -> None:
    allowed: list[str] = []

    def work() -> None:
        spend = Spend(path, Budget(requests=20))
        allowed.extend(filter(None, (spend.reserve(0.0, NOON) for _ in range(10))))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 20


@pytest.mark.parametrize("text", ["{", "[]", '{"day": "2026-11-28", "money": -5}', '{"day": 7}'])
def test_a_file_that_says_nothing_ends_the_asking(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(SpendError, match=r"spend\.json does not say .*; delete it"):
        Spend(path, Budget(requests=1)).reserve(0.0)


def test_a_file_that_cannot_be_written_ends_the_asking(path: Path) -> None:
    path.parent.write_text("no folder")
    with pytest.raises(SpendError, match=r"cannot be used .*; mend that"):
        Spend(path, Budget(requests=1)).reserve(0.0)
