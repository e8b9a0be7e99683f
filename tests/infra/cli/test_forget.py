"""`listune forget`: what it says of adapters that the record does not know."""

from typing import Any

import pytest

from infra.cli import forget
from streams.settings import StreamsSettings

MODELS = [("base", 0, True, False), ("history-r1-a1", 0, True, True)]
COLUMNS = ["adapter_id", "round", "published", "champion"]


def said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    models: list[tuple[Any, ...]],
    *learnt: str,
) -> str:
    monkeypatch.setattr(forget, "query", lambda *_: (COLUMNS, models))
    forget._show_adapters(StreamsSettings(), {"adapters": [*learnt], "descendants": []})
    return " ".join(capsys.readouterr().out.split())


def test_it_does_not_say_that_no_adapter_from_history_learnt_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = said(monkeypatch, capsys, MODELS)
    assert "does not know what history-r1-a1 from history learnt" in shown
    assert "No round of the stack was trained on it." in shown
    assert said(monkeypatch, capsys, MODELS[:1]) == "No adapter was trained on it."


def test_no_adapter_from_history_is_named_as_one_that_never_saw_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [*MODELS[:1], ("history-r1-a1", 0, True, False), ("default-r1-a1", 1, True, True)]
    shown = said(monkeypatch, capsys, models, "default-r1-a1")
    assert "never saw it: `listune rollback base`" in shown
