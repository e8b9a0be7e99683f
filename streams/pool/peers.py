"""What the shards of a pool tell each other, so that one conductor decides for all of them.

Each shard reports about once a second on `pool.control` how much it has under which champion, and
up to where it has read the control topics. The conductor, in shard 0, adds up. When a round is due
it names a `Collect` in its own report: each shard writes its own best into a Parquet file and names
that in the next report; when all have, the conductor takes the best of all.

Nothing here is kept: a report that is lost is followed by the next one, and a collect that is not
answered is asked for anew under another id. A shard counts only while it reports for the champion
that the conductor knows and has heard of every round that the conductor has: before that it may
offer listings that a round has taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import Event
from schemas.topic_names import RETRAIN

# A shard that was silent for longer is moving, or its worker is down: no round begins without it.
SILENT_MS = 10_000


class Collect(BaseModel):
    """The conductor asks each shard for its best `size` listings under a champion, and for those
    that judge."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    collect_id: str
    champion_hash: str
    size: int = Field(ge=1)


class Candidates(BaseModel):
    """A shard's answer: its listings, in a file on the disk that trainer and workers share."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    collect_id: str
    path: str
    sha256: str


class ShardReport(Event):
    """What one shard has. `read`: the next offset that it expects of each control topic."""

    pool: str
    shard: int = Field(ge=0)
    champion_hash: str
    read: dict[str, int]
    caught_up: bool
    lag: int = Field(ge=0)
    fresh: int = Field(ge=0)
    samples: int = Field(ge=0)
    outstanding: int = Field(ge=0)
    held_out: int = Field(default=0, ge=0)
    held_out_new: int = Field(default=0, ge=0)  # reviewed since the challenger was judged last
    collect: Collect | None = None
    candidates: Candidates | None = None

    def key(self) -> str:
        """The record key."""
        return f"{self.pool}:{self.shard}"


@dataclass(frozen=True)
class Peers:
    """The other shards of a pool, as they reported last. Of a pool in one file there are none."""

    reports: tuple[ShardReport, ...] = ()
    others: int = 0

    @property
    def fresh(self) -> int:
        """Listings that a round could take from them."""
        return sum(report.fresh for report in self.reports)

    @property
    def held_out(self) -> int:
        """Listings of theirs that could judge."""
        return sum(report.held_out for report in self.reports)

    @property
    def held_out_new(self) -> int:
        """Those reviewed since the challenger was judged last."""
        return sum(report.held_out_new for report in self.reports)

    @property
    def samples(self) -> int:
        """Rows that they have."""
        return sum(report.samples for report in self.reports)

    @property
    def outstanding(self) -> int:
        """Orders to measure again that wait for their answer."""
        return sum(report.outstanding for report in self.reports)

    @property
    def lag(self) -> int:
        """Records that wait for them."""
        return sum(report.lag for report in self.reports)

    def missing(self, champion_hash: str, read: Mapping[str, int], now_ms: int) -> list[int]:
        """Shards that a decision has to wait for.

        Args:
            champion_hash, read: what the conductor knows; `read` as in `ShardReport`.
        """
        rounds = read.get(RETRAIN, 0)
        present = {
            report.shard
            for report in self.reports
            if report.caught_up
            and report.champion_hash == champion_hash
            and report.read.get(RETRAIN, 0) >= rounds
            and now_ms - report.created_ms < SILENT_MS
        }
        return [number for number in range(1, self.others + 1) if number not in present]

    def candidates(self, collect_id: str) -> list[Candidates] | None:
        """Every shard's answer to a collect; None while one is missing."""
        answers = [r.candidates for r in self.reports if r.candidates is not None]
        right = [answer for answer in answers if answer.collect_id == collect_id]
        return right if len(right) == self.others else None


ALONE = Peers()
