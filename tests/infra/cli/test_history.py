"""`listune bootstrap`: what it refuses before anything is fetched or trained."""

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import history
from infra.cli.app import app
from infra.local import fetch
from infra.local.state import write_state
from streams.settings import StreamsSettings

SCHEMA = '{"Lamps": {"attributes": [{"name": "Colour", "type": "enum", "values": ["red"]}]}}'


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LISTUNE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(history, "ensure_base_model", _never)
    Path("schema.json").write_text(SCHEMA)


def _never(*_: object) -> fetch.Part:
    raise AssertionError("nothing is to be fetched")


def catalog(*colours: str | None) -> None:
    lines = [
        {"product_id": f"p{n}", "category": "Lamps", "title": f"Lamp {n * 7919}"}
        | ({"catalog": {"Colour": colour}} if colour else {})
        for n, colour in enumerate(colours)
    ]
    Path("products.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def refused(*more: str) -> str:
    done = CliRunner().invoke(
        app, ["bootstrap", "products.jsonl", "--schema", "schema.json", *more]
    )
    assert done.exit_code == 1
    assert not Path("runs/local/history").exists()
    return str(done.exception)


def test_a_catalog_without_a_legal_value() -> None:
    catalog(None, "blue", None)
    assert "none of 3 products has a value that the schema allows" in refused()


def test_a_catalog_smaller_than_a_round() -> None:
    catalog(*["red"] * 8)
    assert "where a round needs 20 and 28" in refused()
    assert "where a round needs 300 and 28" in refused("--k", "300")


def test_an_empty_catalog() -> None:
    catalog()
    assert "no product" in refused()


def test_settings_that_look_at_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTUNE_SERVING__PICTURES", "1")
    catalog("red")
    assert "history is learnt from texts alone" in refused()


def test_a_folder_whose_stack_is_up(tmp_path: Path) -> None:
    catalog("red")
    write_state(tmp_path / "runs" / "local", {})
    assert "stop it with `listune down`" in refused()


def test_a_wrong_line_is_left_out_and_told() -> None:
    catalog(*["red"] * 8)
    with Path("products.jsonl").open("a") as file:
        file.write('{"product_id": "p9", "category": "Lamps"\n')
    assert "1 of 9 lines are no product" in refused()  # more than a tenth
    assert "where a round needs 20" in refused("--most-rejected", "0.5")
    (rejected,) = Path("products.jsonl.rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["line"] == 9
    assert "products.jsonl, line 9" in refused("--strict")


def test_a_pool_of_the_name_that_its_rounds_have() -> None:
    with pytest.raises(ValueError, match="historic listings; give another"):
        StreamsSettings(pool="history")


@pytest.mark.slow
def test_a_few_products_in_many_variants() -> None:
    names = [hashlib.sha256(str(n).encode()).hexdigest()[:20] for n in range(10)]
    lines = [
        {"product_id": f"p{n}", "category": "Lamps", "title": names[n // 40]}
        | {"catalog": {"Colour": "red"}}
        for n in range(400)
    ]
    Path("products.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert re.search(r"\d products can judge, where 28 are needed: the others are like", refused())
