"""The guard passes people's questions and refuses everything that reaches beyond the views."""

import pytest

from streams.sql.guard import RefusedError, SqlGuard

ALLOWED = [
    "FROM status",
    "SELECT * FROM main.pool LIMIT 3;",
    "SELECT category, count(*), avg(gap) FILTER (gap > 0) FROM samples GROUP BY ALL ORDER BY 2",
    "WITH worst AS (FROM pool LIMIT 5) SELECT title, row_number() OVER (ORDER BY gap) FROM worst",
    "SELECT list_transform([gap, deficit], x -> round(x, 2)) FROM samples",
    "SELECT CASE WHEN a.champion THEN 1 ELSE 0 END FROM models a JOIN rounds r USING (adapter_id)",
    "SELECT day::VARCHAR, acceptance BETWEEN 0 AND 1 FROM acceptance_by_day WHERE day > '2026-1-1'",
    "SELECT title FROM samples WHERE title ILIKE '%lamp%' AND category IN ('a', 'b') "
    "UNION ALL SELECT upper(title) FROM samples WHERE EXISTS (FROM pool)",
    "SELECT COLUMNS('c_.*') FROM samples",
    "DESCRIBE samples",
    "SUMMARIZE pool",
    "SHOW TABLES",
    "SELECT 1, now(), extract(year FROM measured_at), gap + 1, -gap FROM samples TABLESAMPLE 10%",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) FROM n",
    "SELECT CAST(gap AS DECIMAL(9,2)), {'a': gap}, [gap][1], title[1:3] FROM samples",
    "SELECT measured_at AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin' FROM samples",
    "SELECT approx_top_k(category, 3), mad(gap), json_group_array(title) FROM samples",
    "SELECT attribute, unnest(changed_to) FROM attribute_edits",
    "SELECT DISTINCT ON (category) * FROM samples ORDER BY category, gap DESC",
]
REFUSED = [
    "SELECT * FROM read_blob('/etc/passwd')",
    "FROM glob('*')",
    "FROM query('SELECT 42')",
    "FROM query_table('samples')",
    "FROM quack_stop('quack:127.0.0.1:9494')",
    "SELECT quack_stop('x')",
    "FROM quack_query('quack:127.0.0.1:1', 'SELECT 1', token := 'x')",
    "FROM '/etc/passwd'",
    "FROM 'file.csv'",
    "COPY samples TO 'x.csv'",
    "ATTACH 'x.db'",
    "DETACH writer",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "INSERT INTO samples VALUES (1)",
    "CREATE TABLE t AS FROM samples",
    "DROP VIEW samples",
    "SET memory_limit = '1TB'",
    "INSTALL httpfs",
    "EXPLAIN SELECT 1",
    "BEGIN",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW samples",
    "",
    "SELECT (SELECT read_text('/etc/passwd'))",
    "WITH t AS (SELECT read_text('/etc/passwd')) FROM t",
    "SELECT list_transform([1], x -> getenv('HOME'))",
    "SELECT 1 FROM samples WHERE gap > (SELECT count(*) FROM glob('*'))",
    "SELECT 1 FROM samples ORDER BY getenv('HOME')",
    "SELECT sum(gap) OVER (PARTITION BY getenv('HOME')) FROM samples",
    "SELECT CASE WHEN true THEN current_setting('memory_limit') END",
    "FROM samples LIMIT (SELECT count(*) FROM glob('*'))",
    "FROM (VALUES (getenv('HOME')))",
    "FROM samples JOIN glob('*') ON true",
    "FROM samples, LATERAL (FROM read_text('x'))",
    "SELECT * REPLACE (getenv('HOME') AS title) FROM samples",
    "SELECT COLUMNS(c -> getenv('HOME') = c) FROM samples",
    "DESCRIBE FROM read_csv('x')",
    "SUMMARIZE duckdb_settings",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "FROM duckdb_databases()",
    "FROM duckdb_secrets()",
    "FROM duckdb_databases",
    "FROM sqlite_master",
    "FROM information_schema.tables",
    "FROM writer.main.samples",
    "FROM store.samples",
    "FROM writer.samples",
    "WITH duckdb_databases AS (SELECT 1) FROM duckdb_databases",
    "WITH \"x.csv\" AS (SELECT 1) FROM \"x.csv\"",
    "SELECT getvariable('x')",
    "SELECT system.main.getenv('HOME')",
    "SELECT nextval('s')",
    "FROM json_execute_serialized_sql('x')",
    "SELECT * FROM samples PIVOT (sum(gap) FOR category IN ('a'))",
    "SELECT $1",
    "SELECT sniff_csv('x')",
]  # fmt: skip


@pytest.fixture(scope="module")
def guard() -> SqlGuard:
    return SqlGuard()


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_question_about_the_views_passes(guard: SqlGuard, sql: str) -> None:
    guard.check(sql)


@pytest.mark.parametrize("sql", REFUSED)
def test_whatever_reaches_beyond_them_is_refused(guard: SqlGuard, sql: str) -> None:
    with pytest.raises(RefusedError):
        guard.check(sql)


def test_a_refusal_names_what_is_not_allowed(guard: SqlGuard) -> None:
    with pytest.raises(RefusedError, match=r"the function 'read_blob' is not allowed here"):
        guard.check("SELECT (SELECT count(*) FROM read_blob('*'))")
    with pytest.raises(RefusedError, match="NUL"):
        guard.check("FROM status\0; DROP VIEW samples")
    with pytest.raises(RefusedError, match="nested too deeply"):
        guard.check("FROM (" * 400 + "FROM status" + ")" * 400)
    with pytest.raises(RefusedError, match=r"the table 'secrets' .* there are the views samples"):
        guard.check("FROM secrets")
