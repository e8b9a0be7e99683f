"""The key of an endpoint goes into one header and nowhere else."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.settings import Settings
from serving.endpoint.arm import EndpointArm
from serving.settings import LiveEndpointSettings, ServingSettings
from tests.chat import Chat, Said, chatting
from tests.serving.endpoint.asking import GOOD, REQUEST, refused

KEY = "sk-very/secret+42"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LISTUNE_ENDPOINT_KEY", f"{KEY}\n")  # as it is read from a file
    return KEY


def test_the_key_goes_into_one_header_and_nowhere_else(
    chat: Chat, make_arm: Callable[..., EndpointArm], key: str
) -> None:
    chat.says(GOOD)
    make_arm().answer(REQUEST)
    headers = chat.headers[0]
    assert headers.pop("Authorization") == f"Bearer {key}"
    assert key not in json.dumps([headers, chat.asked])


def test_no_message_and_no_log_has_the_key(
    chat: Chat,
    make_arm: Callable[..., EndpointArm],
    key: str,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Though endpoints repeat it, in a body or in an address."""
    told = [
        Said(401, f"Incorrect API key provided: {key}."),
        Said(500, json.dumps({"error": f"who is {key}?"})),
        Said(503, "x" * 290 + key),
        Said(302, "", {"Location": f"http://{key.replace('/', '')}:80/v1?key={key}"}),
        Said(429, key, {"Retry-After": key}),
        Said(instead=lambda handler: handler.wfile.write(f"nonsense {key}\r\n\r\n".encode())),
    ]
    messages = []
    with caplog.at_level(logging.DEBUG):
        for said in told:
            chat.replies = [said]
            arm = make_arm(attempts=2, failures_to_open=1, requests_a_day=100)
            messages.append(str(refused(arm)))
            messages.append(repr(refused(arm)))
    shown = "\n".join([*messages, caplog.text, *(p.read_text() for p in tmp_path.iterdir())])
    for form in (key, key[:9], "sk-very%2Fsecret"):
        assert form not in shown


@pytest.mark.parametrize("bad", [f"{KEY}\r\nX-Other: 1", f"{KEY}é", f"{KEY}\x00"[:-1] + "\x7f"])
def test_a_key_that_no_header_can_have_is_refused_without_showing_it(
    chat: Chat,
    make_arm: Callable[..., EndpointArm],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    bad: str,
) -> None:
    monkeypatch.setitem(os.environ, "LISTUNE_ENDPOINT_KEY", bad)
    error = refused(make_arm())
    assert error.reason == "refused"
    assert "LISTUNE_ENDPOINT_KEY" in str(error)
    assert KEY not in f"{error}{caplog.text}"
    assert chat.asked == []


def test_a_redirect_is_not_followed_with_or_without_the_key(
    chat: Chat, make_arm: Callable[..., EndpointArm], key: str
) -> None:
    with chatting() as other:
        other.says(GOOD)
        for status in (301, 302, 303, 307, 308):
            chat.replies = [Said(status, "", {"Location": f"{other.url}/chat/completions"})]
            error = refused(make_arm())
            assert error.reason == "refused"
            assert "redirects to 127.0.0.1" in str(error)
        assert other.asked == []


def test_the_key_is_no_setting(key: str) -> None:
    live = LiveEndpointSettings(url="https://api.example/v1", model="m")
    assert key not in Settings(serving=ServingSettings(endpoint=live)).model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_variable": "sk-very-secret"},
        {"url": "https://me:secret@api.example/v1"},
        {"url": "ftp://api.example/v1"},
        {"url": "https://api.example/v1"},
        {"url": "https://api.example/v1", "model": "m", "budget_a_day": 5.0},
        {"requests_per_s": -1},
        {"requests_a_day": 1.5},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LiveEndpointSettings.model_validate(wrong)
