"""The public SQL endpoint over a pool in several files: the same views over all their rows."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import StreamsSettings
from streams.sql.client import query
from streams.sql.guard import VIEWS
from streams.sql.server import serve_pool, stop_serving
from tests.streams.pool.cluster import COUNT, Cluster
from tests.streams.pool.world import World
from tests.streams.sql.test_server import SIDECAR, free_port, wait_until_served

# All but when something happened, and what each conductor says of itself.
COMPARED = {
    "samples": "* EXCLUDE (measured_at)",
    "pool": "* EXCLUDE (measured_at)",
    "rounds": "round, state, trigger, listings, mean_deficit",
    "acceptance_by_day": "* EXCLUDE (day)",
    "status": "champion, fresh, needed, samples, used, last_round, orders_outstanding",
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[StreamsSettings]:
    """Three shards with ten listings, one of their rounds, and the sidecar over them."""
    cluster = Cluster(tmp_path / "shards", k=4, sql_port=free_port())
    for number in range(10):
        cluster.sell(number % COUNT, f"l{number}", filled=number % 3)
    cluster.seconds(4)
    for pool in cluster.pools.values():
        serve_pool(pool.con, cluster.settings, pool.shard)
    process = subprocess.Popen(
        [sys.executable, "-c", SIDECAR, cluster.settings.model_dump_json()],
        env={**os.environ, "LISTUNE_READY_FILE": str(tmp_path / "ready")},
    )
    try:
        wait_until_served(cluster.settings)
        yield cluster.settings
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        for pool in cluster.pools.values():
            stop_serving(pool.con, cluster.settings, pool.shard)
        cluster.close()


def test_the_views_say_of_several_files_what_they_say_of_one(
    served: StreamsSettings, tmp_path: Path
) -> None:
    whole = World(tmp_path / "whole", k=4)
    for number in range(10):
        whole.sell(f"l{number}", filled=number % 3)
    whole.step()
    for view in VIEWS:
        asked = f"SELECT {COMPARED.get(view, '*')} FROM {view} ORDER BY ALL"
        assert query(served, asked)[1] == whole.pool.con.execute(asked).fetchall(), view
    whole.pool.close()
