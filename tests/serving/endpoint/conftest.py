"""A chat API on this machine, and an arm that asks it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.endpoint.arm import EndpointArm
from serving.settings import LiveEndpointSettings
from tests.chat import Chat, chatting


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chatting() as made:
        yield made


@pytest.fixture
def make_arm(chat: Chat, tmp_path: Path) -> Callable[..., EndpointArm]:
    def make(sleep: Callable[[float], None] = lambda _: None, **settings: Any) -> EndpointArm:
        given = {
            "url": chat.url,
            "model": "small",
            "pause_s": 0.01,
            "timeout_s": 5.0,
            "spend_file": tmp_path / "spend.json",
        }
        return EndpointArm(LiveEndpointSettings(**given | settings), 1024, sleep)

    return make
