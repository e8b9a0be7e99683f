"""What an endpoint has cost today: requests and money of a UTC day, in one small file.

All workers of a machine share the file, and it outlives them: each booking reads and writes it
under a lock of the operating system, which takes less than a thousandth of what an answer takes.
What an attempt may cost at most is booked before it begins and put right after it, so that several
at once cannot go beyond the budget together, and a worker that is killed has paid too much rather
than too little. A file that cannot be read or written ends the asking: a guard that forgets what
was spent is none.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ListuneError


class SpendError(ListuneError):
    """The file of what was spent cannot be used."""


class Spent(BaseModel):
    """What a day, `YYYY-MM-DD` in UTC, has cost so far."""

    model_config = ConfigDict(strict=True, frozen=True)

    day: str
    requests: int = Field(0, ge=0)
    money: float = Field(0.0, ge=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Budget:
    """The most that a day may cost; 0 = no limit."""

    requests: int = 0
    money: float = 0.0

    def allows(self, spent: Spent, money: float) -> bool:
        """Whether one more request, of `money` at most, is within it."""
        return (not self.requests or spent.requests < self.requests) and (
            not self.money or spent.money + money <= self.money
        )


class Spend:
    """The book of a budget; may be used from several threads and processes."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self._path = path
        self._budget = budget

    def reserve(self, money: float, now: datetime | None = None) -> str | None:
        """Book one request of `money` at most; the day that it is booked for, None where the
        budget does not allow it.

        Raises:
            SpendError: the file cannot be used.
        """
        with self._book(now) as (file, spent):
            if not self._budget.allows(spent, money):
                return None
            _write(file, spent.day, spent.requests + 1, spent.money + money)
            return spent.day

    def settle(self, day: str, reserved: float, money: float) -> None:
        """Put right what was reserved on `day`: it has cost `money`. A day that is over stays.

        Raises:
            SpendError: the file cannot be used.
        """
        with self._book(None) as (file, spent):
            if spent.day == day:
                _write(file, day, spent.requests, max(0.0, spent.money - reserved + money))

    def today(self) -> Spent:
        """What today has cost so far.

        Raises:
            SpendError: the file cannot be used.
        """
        with self._book(None) as (_, spent):
            return spent

    @contextmanager
    def _book(self, now: datetime | None) -> Iterator[tuple[IO[str], Spent]]:
        """The open file and what it says of today; nobody else has it meanwhile."""
        today = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%d")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                text = file.read()
                spent = Spent.model_validate_json(text) if text else Spent(day=today)
                # A clock that was set back does not begin yesterday's budget anew.
                yield file, spent if spent.day >= today else Spent(day=today)
        except ValidationError:
            raise SpendError(
                f"{self._path} does not say what was spent today; delete it to begin at nothing"
            ) from None
        except (OSError, UnicodeError) as error:
            raise SpendError(
                f"{self._path} cannot be used ({error}); mend that, or set "
                "serving.endpoint.spend_file"
            ) from None


def _write(file: IO[str], day: str, requests: int, money: float) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps({"day": day, "requests": requests, "money": money}))
    file.flush()
