"""Two curate workers of one group, each with a folder of its own, as if on two machines."""

import signal
from pathlib import Path

import pytest

from schemas.category import CategorySchemas
from streams.pool.file import pool_path
from streams.replay.rebuild import replay
from streams.settings import StreamsSettings
from streams.sql.client import SqlError, ask_writer
from tests.streams.support import MakeWorker, Worker, apart, listing, send
from tests.waiting import wait_for

TABLES = ("requests", "predictions", "reviews", "samples")
STANDS_BY = "standing by: another curate worker has the partitions"
PATIENCE_S = 120.0


class Hosts:
    """Machines with a curate worker each, which share Kafka and the folder of copies."""

    def __init__(
        self, settings: StreamsSettings, schemas: CategorySchemas, folder: Path, worker: MakeWorker
    ) -> None:
        self.settings = apart(settings).model_copy(
            update={"snapshot_dir": folder / "kept", "snapshot_minutes": 0.02}
        )
        self.schemas = schemas
        self.folder = folder
        self.worker = worker
        self.sold = 0

    def start(self, host: str, **env: str) -> Worker:
        """A worker that is ready: it works, or it stands by."""
        own = self.settings.model_copy(update={"pool_dir": self.folder / host / "pool"})
        return self.worker("curate", own, WORKER=host, SESSION_S="6", **env).start()

    def sell(self) -> None:
        """Twenty more listings go their whole way."""
        ids = range(self.sold, self.sold + 20)
        self.sold += 20
        send(self.settings, *(event for n in ids for event in listing(self.schemas, f"l{n}")))

    def wait_until_counted_once(self, worker: Worker) -> None:
        """Every event of every listing is in the worker's pool, and none is there twice."""
        once = [self.sold] * len(TABLES)

        def counted() -> bool:
            assert not worker.dead(), worker.log.read_text()[-3000:]
            return counts(worker.settings) == once

        wait_for(counted, PATIENCE_S, meanwhile=SqlError)  # the pool may not be open yet


def counts(settings: StreamsSettings) -> list[int]:
    each = ", ".join(f"(SELECT count(*) FROM store.{table})" for table in TABLES)
    return list(ask_writer(settings, f"SELECT {each}")[0])


@pytest.fixture
def hosts(
    settings: StreamsSettings, schemas: CategorySchemas, tmp_path: Path, worker: MakeWorker
) -> Hosts:
    return Hosts(settings, schemas, tmp_path, worker)


def test_a_standby_goes_on_from_the_copy_and_the_topics_when_the_worker_is_killed(
    hosts: Hosts,
) -> None:
    first = hosts.start("first")
    hosts.sell()
    hosts.wait_until_counted_once(first)
    wait_for((hosts.folder / "kept" / "default.duckdb").exists, PATIENCE_S)
    second = hosts.start("second")
    assert STANDS_BY in second.log.read_text()
    hosts.sell()
    hosts.wait_until_counted_once(first)  # the standby took nothing from it
    assert not pool_path(second.settings).exists()

    first.kill()
    hosts.sell()
    hosts.wait_until_counted_once(second)
    assert "begins with the copy" in second.log.read_text()

    again = hosts.start("first")  # what comes back does not take the work away
    assert STANDS_BY in again.log.read_text()
    hosts.sell()
    hosts.wait_until_counted_once(second)
    assert replay(second.settings, hosts.schemas, lambda *_: None).equal


@pytest.mark.parametrize("aware", [{}, {"UNAWARE": "1"}], ids=["aware", "back in the group"])
def test_a_worker_that_was_stopped_for_too_long_ends_and_its_standby_goes_on(
    hosts: Hosts, aware: dict[str, str]
) -> None:
    first = hosts.start("first", **aware)
    hosts.sell()
    hosts.wait_until_counted_once(first)
    second = hosts.start("second")
    first.signal(signal.SIGSTOP)
    hosts.sell()
    hosts.wait_until_counted_once(second)
    first.signal(signal.SIGCONT)
    assert first.code() == 1
    assert "another curate worker has the partitions, or may" in first.log.read_text()
    hosts.sell()
    hosts.wait_until_counted_once(second)
