"""A listing forgotten on a real broker: live, after a restart, and when the pool is rebuilt."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from infra.local.ports import free_port
from schemas.category import CategorySchemas
from schemas.events import (
    ListingForgotten,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
    listing_sha256,
)
from schemas.topic_names import FORGOTTEN, MODEL_EVENTS, RETRAIN
from serving.pictures.picture import Picture
from serving.pictures.store import PictureStore
from streams.forgotten import ask_to_forget
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings
from tests.streams.sql.test_server import SIDECAR
from tests.streams.support import MakeWorker, Worker, applied, listing, read_all, send
from tests.streams.world import held_out_id
from tests.waiting import wait_for

HELD_OUT = held_out_id(0)
"""It judges the round."""


def sell(settings: StreamsSettings, schemas: CategorySchemas, *names: str) -> None:
    send(settings, *(event for name in names for event in listing(schemas, name)))


def answers(settings: StreamsSettings) -> list[ListingForgotten]:
    """What the conductor said that it forgot."""
    said = [ListingForgotten.model_validate_json(v) for *_, v in read_all(settings, FORGOTTEN)]
    return [event for event in said if event.pool is not None]


def files(settings: StreamsSettings) -> list[Path]:
    """The files of all rounds."""
    asked = [RetrainRequest.model_validate_json(v) for *_, v in read_all(settings, RETRAIN)]
    return [Path(file.path) for round_ in asked for file in round_.files]


def in_files(settings: StreamsSettings) -> set[str]:
    return {
        row[0]
        for path in files(settings)
        for row in duckdb.sql(f"SELECT listing_id FROM '{path}'").fetchall()
    }


def in_pool(settings: StreamsSettings, curate: Worker) -> tuple[set[str], list[tuple[object, ...]]]:
    """Stops the worker: the listings of its pool, and the record of those forgotten."""
    assert curate.stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        found: set[str] = set()
        for table in ("requests", "predictions", "reviews", "samples", "used"):
            rows = con.execute(f"SELECT DISTINCT listing_id FROM store.{table}").fetchall()
            found |= {row[0] for row in rows}
        return found, con.execute("SELECT * EXCLUDE (settled) FROM main.forgotten").fetchall()


@pytest.fixture
def settings(settings: StreamsSettings) -> StreamsSettings:
    """A round takes four listings."""
    return settings.model_copy(update={"k": 4, "sql_port": free_port()})


def test_it_is_forgotten_live_after_a_restart_and_in_a_rebuilt_pool(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate", settings).start()
    sell(settings, schemas, HELD_OUT, "a0", "a1", "a2", "a3", "a4")
    wait_for(lambda: applied(curate, 18) and bool(files(settings)))
    assert in_files(settings) == {HELD_OUT, "a0", "a1", "a2", "a3"}
    for name in ("a1", "a4"):
        ask_to_forget(settings, name)
    wait_for(lambda: len(answers(settings)) == 2 and "a1" not in in_files(settings))
    assert {event.listing_sha256: event.rounds for event in answers(settings)} == {
        listing_sha256("a1"): [1],
        listing_sha256("a4"): [],
    }
    sell(settings, schemas, "a4", "b0")  # what was under way still comes
    wait_for(lambda: applied(curate, 24))
    live = in_pool(settings, curate)
    assert live[0] == {HELD_OUT, "a0", "a2", "a3", "b0"}

    sell(settings, schemas, "a1", "b1")
    again = worker("curate", settings).start()
    wait_for(lambda: applied(again, 30))
    after = in_pool(settings, again)
    assert after == (live[0] | {"b1"}, live[1])

    (settings.pool_dir / "default.duckdb").unlink()
    again.log.unlink()
    rebuilt = worker("curate", settings).start()
    wait_for(lambda: applied(rebuilt, 30))
    assert in_pool(settings, rebuilt) == after
    assert len(answers(settings)) == 2
    assert in_files(settings) == {HELD_OUT, "a0", "a2", "a3"}


@pytest.fixture
def sidecar(settings: StreamsSettings) -> Iterator[None]:
    """The SQL endpoint, which comes up with the pool."""
    process = subprocess.Popen([sys.executable, "-c", SIDECAR, settings.model_dump_json()])
    yield
    process.terminate()
    process.wait(10)


@pytest.mark.usefixtures("sidecar")
def test_the_command_forgets_and_says_what_learnt_it(
    settings: StreamsSettings,
    schemas: CategorySchemas,
    worker: MakeWorker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)  # where no stack is up
    for name in ("bootstrap_servers", "sql_port", "pool_dir"):
        monkeypatch.setenv(f"LISTUNE_STREAMS__{name.upper()}", str(getattr(settings, name)))
    curate = worker("curate", settings).start()
    sell(settings, schemas, HELD_OUT, "a0", "a1", "a2", "a3", "a4")
    wait_for(lambda: applied(curate, 18) and bool(files(settings)))

    def said(listing_id: str) -> str:
        return CliRunner().invoke(app, ["forget", listing_id], catch_exceptions=False).output

    taken = said("a1")
    assert "It is out of the pool and of the rounds' files" in taken
    assert "Round 1 is under way" in taken
    assert "No adapter was trained on it." in taken
    assert "a1" not in in_files(settings)
    promote_round_one(settings)
    taken = said("a2")
    assert "Round 1" not in taken
    assert re.search(r"default-r1-a1 *│ 1 *│ itself *│ yes", taken)
    assert "listune rollback base" in taken
    untouched = said("never seen")
    assert "No adapter" in untouched
    assert listing_sha256("never seen") in untouched


def promote_round_one(settings: StreamsSettings) -> None:
    """A trainer's answer to round 1, and the conductor's to that."""
    adapter = {
        "pool": "default", "round": 1, "adapter_id": "default-r1-a1", "adapter_hash": "1" * 64,
        "adapter_uri": "/registry/default-r1-a1", "parent_id": "base", "parent_hash": "base",
    }  # fmt: skip
    publisher = Publisher(settings)
    for kind in (ModelEventKind.STARTED, ModelEventKind.PUBLISHED, ModelEventKind.PROPOSED):
        event = ModelEvent(kind=kind, **adapter)
        publisher.send(MODEL_EVENTS, event.key(), event.to_bytes()).result(10)
    publisher.close()
    wait_for(lambda: any(b'"promoted"' in value for *_, value in read_all(settings, MODEL_EVENTS)))


def test_its_own_pictures_leave_the_store_and_those_of_others_stay(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker, tmp_path: Path
) -> None:
    store = PictureStore(str(tmp_path / "kept"))
    shared, own = Picture(b"shared"), Picture(b"own")
    store.write(shared)
    store.write(own)
    curate = worker("curate", settings, PICTURES=str(tmp_path / "kept")).start()
    for name, seen in {"gone": [shared, own], "kept": [shared]}.items():
        asked, answer, review = listing(schemas, name)
        pictures = [picture.sha256 for picture in seen]
        send(settings, asked, answer.model_copy(update={"pictures": pictures}), review)
    wait_for(lambda: applied(curate, 6))
    ask_to_forget(settings, "gone")
    wait_for(lambda: list(store.hashes()) == [shared.sha256])
    assert curate.stop() == 0
