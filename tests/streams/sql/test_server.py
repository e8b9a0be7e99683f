"""The public SQL endpoint over a live pool: a writer, the sidecar and clients."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from infra.local.ports import free_port
from serving.process.ready import READY_FILE
from streams.settings import StreamsSettings
from streams.sql.client import SqlError, ask, endpoint_path, load_extensions, query
from streams.sql.guard import VIEWS, RefusedError
from streams.sql.server import serve_pool
from tests.streams.world import World
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

SIDECAR = (
    "import sys; from streams.settings import StreamsSettings; from streams.sql.server import main;"
    "main(StreamsSettings.model_validate_json(sys.argv[1]))"
)


def stop_serving(world: World) -> None:
    """The writer goes: without it the file would stay open after its connection was closed."""
    path = endpoint_path(world.settings)
    uri = json.loads(path.read_text(encoding="utf-8"))["uri"]
    path.unlink()
    world.pool.con.execute("CALL quack_stop($1)", [uri])


def is_served(settings: StreamsSettings) -> bool:
    try:
        query(settings, "FROM status")
    except SqlError:
        return False
    return True


def wait_until_served(settings: StreamsSettings, served: bool = True) -> None:
    wait_for(lambda: is_served(settings) == served)


class Served:
    """A pool with its private server, and the sidecar over it."""

    def __init__(self, folder: Path, timeout_s: float = 3) -> None:
        self.world = World(
            folder, sql_port=free_port(), sql_timeout_s=timeout_s, sql_memory="256MB"
        )
        self.settings = self.world.settings
        serve_pool(self.world.pool.con, self.settings)
        self.world.sell_many(3)
        self.world.step()
        self.ready = folder / "ready"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SIDECAR, self.settings.model_dump_json()],
            env={**os.environ, READY_FILE: str(self.ready)},
        )
        try:
            wait_until_served(self.settings)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0
        stop_serving(self.world)
        self.world.pool.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("pool"))
    yield made
    made.close()


def test_views_are_read_live_while_the_writer_writes(served: Served) -> None:
    columns, rows = query(served.settings, "SELECT listing_id, deficit FROM pool ORDER BY rank")
    assert columns == ["listing_id", "deficit"]
    assert rows == [("l0", 1.0), ("l1", 0.75), ("l2", 0.5)]
    before = query(served.settings, "SELECT count(*) FROM samples")[1][0][0]
    served.world.sell("more", filled=4)
    assert query(served.settings, "SELECT count(*) FROM samples")[1] == [(before + 1,)]
    assert query(served.settings, "SELECT status, champion FROM status")[1] == [
        ("collecting 3/4", "base")
    ]
    assert served.ready.exists()


def test_every_view_is_there_and_describes_itself(served: Served) -> None:
    with duckdb.connect() as con:
        load_extensions(con)
        for view in VIEWS:
            columns, _ = ask(con, served.settings, f"FROM {view}")
            described = ask(con, served.settings, f"DESCRIBE {view}")[1]
            assert [row[0] for row in described] == columns, view


def test_times_in_a_zone_and_the_most_frequent_values_can_be_asked_for(served: Served) -> None:
    sql = (
        "SELECT min(measured_at AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo') "
        "- min(measured_at) AS ahead, approx_top_k(category, 1), mad(gap) >= 0, "
        "json_array_length(json_group_array(title)) = count(*) FROM samples"
    )
    assert query(served.settings, sql)[1] == [(timedelta(hours=9), ["Lamps"], True, True)]


def raw(served: Served, sql: str, token: str | None = None) -> list[tuple[object, ...]]:
    """Any DuckDB client, without our guard before it."""
    with duckdb.connect() as con:
        load_extensions(con)
        uri = f"quack:127.0.0.1:{served.settings.sql_port}"
        given = served.settings.sql_token if token is None else token
        return con.execute("FROM quack_query($1, $2, token := $3)", [uri, sql, given]).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_blob('/etc/hostname')",
        "FROM query('SELECT 42')",
        "CALL quack_stop('quack:127.0.0.1')",
        "FROM duckdb_databases()",
        "CREATE TABLE t(i INTEGER)",
        "DROP VIEW samples",
        "SET memory_limit = '1TB'",
        "FROM writer.main.samples",
    ],
)
def test_the_server_itself_refuses_what_the_guard_refuses(served: Served, sql: str) -> None:
    with pytest.raises(duckdb.Error, match="Authorization failed"):
        raw(served, sql)
    with pytest.raises(RefusedError):
        query(served.settings, sql)


def test_another_token_is_refused(served: Served) -> None:
    with pytest.raises(duckdb.Error, match="Authentication failed"):
        raw(served, "FROM status", token="guessed")
    wrong = served.settings.model_copy(update={"sql_token": "guessed"})
    with pytest.raises(SqlError, match="set sql_token to its own"):
        query(wrong, "FROM status")


def test_a_client_can_attach_and_read_but_not_write(served: Served) -> None:
    with duckdb.connect() as con:
        load_extensions(con)
        uri, token = f"quack:127.0.0.1:{served.settings.sql_port}", served.settings.sql_token
        con.execute(f"ATTACH '{uri}' AS pool_server (TYPE quack, TOKEN '{token}')")
        assert con.execute("SELECT max(deficit) FROM pool_server.samples").fetchall() == [(1.0,)]
        with pytest.raises(duckdb.Error):
            con.execute("CREATE TABLE pool_server.t (i INTEGER)")


def test_the_private_endpoint_is_for_this_user_only(served: Served) -> None:
    path = served.settings.pool_dir / "default.sql.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_mistake_in_a_statement_is_told_in_one_line(served: Served) -> None:
    with pytest.raises(SqlError, match="no_such_column") as caught:
        query(served.settings, "SELECT no_such_column FROM samples")
    assert "\n" not in str(caught.value)


def test_a_statement_that_takes_too_long_is_stopped_and_the_server_comes_back(
    served: Served,
) -> None:
    endless = "SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) % 7 = 3"
    with pytest.raises(SqlError, match=r"was stopped after \d+ s"):
        query(served.settings, endless)
    wait_until_served(served.settings)


@pytest.mark.parametrize(
    "greedy",
    [
        "SELECT list(i) FROM range(100000000) t(i)",
        "SELECT length(lpad('x', 2000000000, 'y'))",
        "SELECT len(range(2000000000))",
        "SELECT length(replace(s, 'a', s)) FROM (SELECT string_agg('a', '') s FROM range(60000))",
    ],
)
def test_a_statement_that_needs_too_much_memory_fails(served: Served, greedy: str) -> None:
    with pytest.raises(SqlError):
        query(served.settings, greedy)
    wait_until_served(served.settings)


def test_no_server_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(SqlError, match="no SQL server answers at 127"):
        query(StreamsSettings(pool_dir=tmp_path, sql_port=free_port()), "FROM status")


def test_the_sidecar_follows_a_writer_that_starts_again(tmp_path: Path) -> None:
    served = Served(tmp_path)
    try:
        stop_serving(served.world)
        served.world.reopen()
        serve_pool(served.world.pool.con, served.settings)
        served.world.sell("after")
        sold = "SELECT 1 FROM samples WHERE listing_id = 'after'"
        # Meanwhile there is no sidecar, or one that has not noticed that the writer is another.
        wait_for(lambda: query(served.settings, sold)[1] == [(1,)], meanwhile=SqlError)
    finally:
        served.close()


def test_what_serves_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.process.kill()
    served.process.wait()
    wait_until_served(served.settings, served=False)
    stop_serving(served.world)
    served.world.pool.close()


def test_writes_go_on_while_others_read(served: Served) -> None:
    stop = threading.Event()
    counts: list[int] = []

    def read() -> None:
        while not stop.is_set():
            counts.append(query(served.settings, "SELECT count(*) FROM samples")[1][0][0])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(30):
        served.world.sell(f"busy{number}")
    stop.set()
    reader.join()
    assert counts == sorted(counts)
