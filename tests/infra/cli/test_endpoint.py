"""`listune endpoint check`: what it prints of an endpoint's answers, and what it leaves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.cli.app import app
from infra.settings import SettingsError
from tests.chat import Chat, chatting


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Chat]:
    """An endpoint that the settings name, with prices, in a folder without a stack."""
    monkeypatch.chdir(tmp_path)
    with chatting() as made:
        endpoint = {"URL": made.url, "MODEL": "small", "ATTEMPTS": "1", "BUDGET_A_DAY": "5"}
        prices = {"MILLION_INPUT_TOKENS": "100", "MILLION_OUTPUT_TOKENS": "200"}
        for name, value in (endpoint | prices).items():
            monkeypatch.setenv(f"LISTUNE_SERVING__ENDPOINT__{name}", value)
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["endpoint", "check", *arguments])


def test_one_product_is_shown_with_its_values_tokens_and_cost(chat: Chat) -> None:
    chat.says('{"Brand": "Zuma Works", "Weight": "no idea"}')
    ran = run()
    assert ran.exit_code == 0
    for shown in ("Zuma Works", "no idea", "tokens_read", "0.009"):
        assert shown in ran.output


def test_an_unusable_answer_is_shown_as_it_came_and_counted_and_paid_for(chat: Chat) -> None:
    chat.says("It is [bold]a shoe[/].")
    ran = run()
    assert ran.exit_code == 1
    for shown in ("bad_answer", "without a whole JSON object", "It is [bold]a shoe[/].", "0.009"):
        assert shown in ran.output


def test_several_products_leave_a_page_and_its_data(chat: Chat, tmp_path: Path) -> None:
    chat.says("prose")
    chat.says("{}")
    assert run("--count", "3", "--out", "made").exit_code == 0
    (page,) = (tmp_path / "made").glob("endpoint-*.md")
    assert "| usable_share | 0.667 |" in page.read_text()
    (row,) = json.loads(page.with_suffix(".json").read_text())["rows"]
    assert row["figures"]["unusable_bad_answer"] == 1
    assert row["figures"]["cost"] == pytest.approx(3 * 0.009)
    assert [len(row["raw"][name]) for name in ("usable_s", "unusable_s")] == [2, 1]


def test_a_catalog_of_one_s_own_is_asked_about(chat: Chat) -> None:
    attribute = {"name": "Colour", "type": "enum", "values": ["red", "blue"]}
    Path("schema.json").write_text(json.dumps({"Mugs": {"attributes": [attribute]}}))
    product = {"product_id": "m1", "category": "Mugs", "title": "A red mug"}
    Path("products.jsonl").write_text(json.dumps(product))
    chat.says('{"Colour": "RED"}')
    ran = run("--catalog", "products.jsonl", "--schema", "schema.json")
    assert ran.exit_code == 0
    assert "A red mug" in chat.asked[0]["messages"][-1]["content"]


def test_what_cannot_be_asked_is_a_sentence(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="give both or neither"):
        CliRunner().invoke(
            app, ["endpoint", "check", "--catalog", "a.jsonl"], catch_exceptions=False
        )
    monkeypatch.setenv("LISTUNE_SERVING__ENDPOINT__URL", "")
    ran = run()
    assert isinstance(ran.exception, SettingsError)
    assert "set serving.endpoint.url" in str(ran.exception)
