"""`listune replay` in a folder whose stack is down: the broker comes up for it, and goes again."""

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli import pool
from infra.cli.app import app
from infra.lab.small import ANY_FREE
from infra.local.settings import LocalSettings
from infra.settings import Settings
from infra.stack import broker_alone
from schemas.sources.json_schema import write_schemas
from schemas.topic_names import REQUESTS, REVIEWS
from streams.kafka.publisher import Publisher
from streams.replay.fingerprint import TABLES, Fingerprint
from streams.replay.rebuild import Replayed
from streams.settings import StreamsSettings
from tests.streams.world import SCHEMAS, prediction, request, review


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder of a stack that was up here; nothing of it runs."""
    run_dir = tmp_path / "runs" / "local"
    run_dir.mkdir(parents=True)
    write_schemas(run_dir / "schema.json", SCHEMAS)
    settings = Settings(
        local=LocalSettings(**ANY_FREE, kafka_heap="256m"),
        streams=StreamsSettings(
            pool_dir=run_dir / "pool", schema_path=run_dir / "schema.json", partitions=1
        ),
    )
    (run_dir / "settings.json").write_text(settings.model_dump_json())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    return run_dir


@pytest.mark.usefixtures("kafka_jars")
def test_the_pool_of_a_stack_that_is_down_is_rebuilt_and_put_in_place(stack: Path) -> None:
    with broker_alone(stack, Console(quiet=True)) as settings:
        publisher = Publisher(settings.streams)
        asked = request("a")
        publisher.send(REQUESTS, "a", asked.to_bytes()).result(10)
        publisher.send(REVIEWS, "a", review(prediction(asked)).to_bytes()).result(10)
        publisher.close()
    shown = CliRunner().invoke(app, ["replay", "--swap"])
    assert shown.exit_code == 0, shown.output
    assert "there is no live pool" in shown.output
    assert (stack / "pool" / "default.duckdb").is_file()


def test_it_shows_table_by_table_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    live = dict.fromkeys(TABLES, Fingerprint(12, 0xABC))
    rebuilt = {**live, "samples": Fingerprint(11, 0xDEF)}
    pool.show(Replayed(Path("replay/default.duckdb"), rebuilt, live))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) < 80
    [samples] = [line for line in lines if "samples" in line]
    assert samples.replace("│", " ").split() == [
        "samples", "12", "11", "0000000000000abc", "0000000000000def", "differs"
    ]  # fmt: skip
    assert sum("equal" in line for line in lines) == len(TABLES) - 1


def test_samples_that_were_measured_by_other_schemas_are_not_compared_and_it_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rebuilt = dict.fromkeys(TABLES, Fingerprint(12, 0xABC))
    live = {table: print_ for table, print_ in rebuilt.items() if table != "samples"}
    done = Replayed(Path("replay/default.duckdb"), rebuilt, live, other_schemas=True)
    pool.show(done)
    shown = capsys.readouterr().out
    assert "samples are not compared" in shown
    assert shown.count("equal") == len(TABLES) - 1
    assert done.equal


def test_it_takes_one_way_out_at_a_time_and_wants_a_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = CliRunner().invoke(app, ["replay", "--swap", "--accept-deleted"])
    assert "two ways out of one trouble" in str(both.exception)
    alone = CliRunner().invoke(app, ["replay"])
    assert "start it with `listune up`" in str(alone.exception)
