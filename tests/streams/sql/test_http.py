"""SQL over HTTP: what a client sends and gets, and what it is told when it gets nothing."""

import json
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from infra.local.ports import free_port
from streams.settings import StreamsSettings
from streams.sql.http import CONNECTIONS, MAX_BODY_BYTES, serving, to_csv, to_json
from tests.streams.sql.test_server import Served
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

Answered = tuple[int, str]


def post(port: int, sql: str | bytes, token: str = "listune", accept: str = "*/*") -> Answered:
    """Status and body of a statement sent to `port`."""
    headers = {"Authorization": f"Bearer {token}", "Accept": accept}
    body = sql if isinstance(sql, bytes) else sql.encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/query", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_answered(http: "Http") -> bool:
    """Whether there is a place; one who is turned away may find the connection closed."""
    try:
        return http.post("FROM status")[0] == 200
    except OSError:
        return False


class Http:
    """The sidecar over a pool, and the HTTP endpoint over the sidecar."""

    def __init__(self, served: Served, port: int) -> None:
        self.served = served
        self.port = port

    def post(self, sql: str | bytes, **said: str) -> Answered:
        return post(self.port, sql, **said)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    served = Served(tmp_path_factory.mktemp("pool"))
    settings = served.settings.model_copy(update={"sql_http_port": 0, "sql_http_rows": 5})
    try:
        with serving(settings) as port:
            yield Http(served, port)
    finally:
        served.close()


def test_a_statement_is_answered_with_columns_and_rows(http: Http) -> None:
    status, body = http.post("SELECT listing_id, deficit FROM pool ORDER BY rank")
    assert status == 200
    assert json.loads(body) == {
        "columns": ["listing_id", "deficit"],
        "rows": [["l0", 1.0], ["l1", 0.75], ["l2", 0.5]],
        "truncated": False,
    }


def test_csv_comes_to_whom_asks_for_it(http: Http) -> None:
    sql = "SELECT listing_id, deficit FROM pool ORDER BY rank LIMIT 1"
    assert http.post(sql, accept="text/csv") == (200, "listing_id,deficit\nl0,1.0\n")


def test_an_answer_ends_at_the_row_limit_and_says_so(http: Http) -> None:
    status, body = http.post("FROM range(1000000000)")
    answer = json.loads(body)
    assert (status, answer["truncated"]) == (200, True)
    assert answer["rows"] == [[0], [1], [2], [3], [4]]


def test_what_json_does_not_have_is_its_text_or_null() -> None:
    row = [float("nan"), float("inf"), Decimal("1.50"), datetime(2026, 1, 2), {"a": [None]}, b"x"]
    names = ["a", "b", "c", "d", "e", "f"]
    assert json.loads(to_json(names, [row], False))["rows"] == [
        [None, None, "1.50", "2026-01-02 00:00:00", {"a": [None]}, "b'x'"]
    ]
    assert to_csv(["a", "b"], [[None, ['say "x"', 1]]]) == 'a,b\n,"[""say \\""x\\"""", 1]"\n'


def test_another_token_or_none_is_refused(http: Http) -> None:
    for token in ("guessed", "", "listun", "listune\u00e9"):
        status, body = http.post("FROM status", token=token)
        assert (status, "streams.sql_token" in body) == (401, True)


def test_a_refusal_and_a_mistake_are_told_in_a_sentence(http: Http) -> None:
    status, body = http.post("FROM read_blob('/etc/passwd')")
    assert (status, "the function 'read_blob' is not allowed" in body) == (400, True)
    status, body = http.post("SELECT no_such_column FROM samples")
    assert (status, "no_such_column" in body) == (400, True)
    assert http.post(b"\xff")[0] == 400


def test_a_body_that_is_too_long_is_not_read(http: Http) -> None:
    with socket.create_connection(("127.0.0.1", http.port), 5) as client:
        client.sendall(
            b"POST /query HTTP/1.0\r\nAuthorization: Bearer listune\r\n"
            b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)
        )
        assert b" 413 " in client.recv(100)


def test_a_path_or_a_method_that_is_not_there_is_said(http: Http) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{http.port}/", b"FROM status")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=5)
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(f"http://127.0.0.1:{http.port}/query", timeout=5)


def test_who_comes_when_all_places_are_taken_is_told_to_try_again(http: Http) -> None:
    silent = [socket.create_connection(("127.0.0.1", http.port), 5) for _ in range(CONNECTIONS)]
    try:
        with socket.create_connection(("127.0.0.1", http.port), 5) as late:
            assert b" 503 " in late.recv(100)
    finally:
        for client in silent:
            client.close()
    wait_for(lambda: is_answered(http))  # whoever leaves makes room


def test_an_endless_statement_is_408_and_the_next_one_is_answered(http: Http) -> None:
    status, body = http.post("SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) % 7 = 3")
    assert (status, "was stopped after" in body) == (408, True)
    answered = threading.Event()
    while not answered.wait(0.2):
        status, _ = http.post("FROM status")
        assert status in (200, 503)
        if status == 200:
            answered.set()


def test_without_the_sidecar_it_is_503(tmp_path: Path) -> None:
    settings = StreamsSettings(pool_dir=tmp_path, sql_port=free_port(), sql_http_port=0)
    with serving(settings) as port:
        status, body = post(port, "FROM status")
    assert (status, "listune up" in body) == (503, True)


def test_the_example_on_the_page_is_answered(http: Http) -> None:
    page = (Path(__file__).parents[3] / "docs" / "sql.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- example: curl -->\n```sh\n(.*?)```", page, re.DOTALL)
    assert found is not None
    command = found[1].replace("9495", str(http.port))
    said = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30
    )
    assert "deficit" in said.stdout
