"""Our curate worker, run as `listune up` runs it and measured from outside.

What it has done is read from Kafka: the offsets that its group has committed. The worker commits
them after DuckDB's COMMIT, so a record counts a moment later than it is in the pool, never sooner.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import duckdb
import psutil
from confluent_kafka import KafkaException
from prometheus_client.parser import text_string_to_metric_families

from infra.lab.bench.job import peak_memory_mb
from infra.local.ports import HOST
from infra.local.supervisor import Supervisor
from infra.settings import Settings
from infra.stack import worker_spec
from schemas.errors import ListuneError
from streams.curate.app import GROUP
from streams.kafka.committed import Committed
from streams.kafka.partitions import Partition
from streams.pool.file import pool_path

LOOK_S = 0.02
STALLED_S = 120.0


@dataclass(frozen=True)
class Look:
    """The group's offsets at a moment, and the CPU seconds that the worker had used by then.

    The worker is its process and those that it started.
    """

    at_s: float
    cpu_s: float
    offsets: Mapping[Partition, int]

    @property
    def records(self) -> int:
        """Of all partitions looked at."""
        return sum(self.offsets.values())


class Progress:
    """Follows what a worker has done; `seen` has one entry for each time that it moved."""

    def __init__(self, offsets: Callable[[], Mapping[Partition, int]]) -> None:
        """`offsets`: what is looked at, such as `committed`; may raise KafkaException."""
        self.seen: list[Look] = []
        self.pid: Callable[[], int | None] = lambda: None
        self._offsets = offsets
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)
        self._thread.start()

    def wait_for(self, records: int) -> None:
        """Waits until so many records are done.

        Raises:
            ListuneError: nothing moved for two minutes.
        """
        moved_at, known = time.monotonic(), -1
        while not self.seen or self.seen[-1].records < records:
            if len(self.seen) != known:
                moved_at, known = time.monotonic(), len(self.seen)
            if time.monotonic() - moved_at > STALLED_S:
                raise ListuneError(f"the worker stands still at {known} looks; see its log")
            time.sleep(LOOK_S)

    def end(self) -> None:
        """Stops looking."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(LOOK_S):
            try:
                offsets = self._offsets()
            except KafkaException:
                continue  # who asks first waits until the broker has made its topic of groups
            if not self.seen or offsets != self.seen[-1].offsets:
                self.seen.append(Look(time.time(), self._cpu_s(), offsets))

    def _cpu_s(self) -> float:
        pid = self.pid()
        if pid is None:
            return 0.0
        worker = psutil.Process(pid)
        used = [one.cpu_times() for one in (worker, *worker.children(recursive=True))]
        return sum(times.user + times.system for times in used)


def committed(settings: Settings, topics: tuple[str, ...]) -> Callable[[], Mapping[Partition, int]]:
    """What curate's group has committed on `topics`, asked anew by each call."""
    streams = settings.streams
    places = [(topic, p) for topic in topics for p in range(streams.partitions)]
    group = Committed(streams, GROUP)
    return lambda: group.offsets(places, 30)


@dataclass(frozen=True)
class CurateWorker:
    """A curate worker that is up."""

    supervisor: Supervisor
    port: int

    def stages(self) -> dict[str, float]:
        """Seconds that each stage has taken since the start."""
        with urlopen(f"http://{HOST}:{self.port}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {
            sample.labels["stage"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "listune_stage_seconds_sum"
        }

    def peak_memory_mb(self) -> float:
        """The most that it has had resident."""
        return peak_memory_mb(self.supervisor.pid("curate"))


@contextmanager
def curate(settings: Settings, run_dir: Path, progress: Progress) -> Iterator[CurateWorker]:
    """A curate worker, up and ready; it is stopped in order when the block ends.

    Raises:
        SupervisorError: it does not come up.
        ListuneError: it died meanwhile.
    """
    (run_dir / "settings.json").write_text(settings.model_dump_json())
    port = settings.streams.curate_health_port
    spec = worker_spec("curate", run_dir, (), port)
    up = Supervisor([spec], run_dir / "curate")
    progress.pid = lambda: up.pid("curate")
    with up:
        yield CurateWorker(up, port)
        if up.restarts("curate"):
            raise ListuneError(f"the curate worker died; see {run_dir / 'curate' / 'logs'}")


def counts(settings: Settings) -> dict[str, int]:
    """Rows of each table of the pool, whose worker has stopped."""
    tables = ("requests", "predictions", "reviews", "samples")
    with duckdb.connect(str(pool_path(settings.streams)), read_only=True) as con:
        return {
            table: con.execute(f"SELECT count(*) FROM store.{table}").fetchall()[0][0]
            for table in tables
        }
