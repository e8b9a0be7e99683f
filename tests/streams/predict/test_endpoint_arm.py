"""A predict worker with an endpoint set, on a real broker: it answers its arm, or the champion."""

import json
from pathlib import Path

import pytest

from schemas.category import CategorySchemas
from schemas.events import (
    ListingPrediction,
    ModelEvent,
    ModelEventKind,
    Status,
    new_id,
)
from schemas.experiment import Arm, Experiment
from schemas.topic_names import MODEL_EVENTS, PREDICTIONS
from serving.settings import LiveEndpointSettings, ServingSettings
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from tests.chat import Chat, chatting
from tests.streams.predict.test_app import send
from tests.streams.support import MakeWorker, read_all

KEY = "sk-never-to-be-seen"


def started() -> ModelEvent:
    """An experiment in which an endpoint answers all but the few sellers of the control."""
    arms = (Arm(name="champion", answers="champion"), Arm(name="llm", answers="endpoint"))
    running = Experiment(name="ab", arms=arms).grown({"champion": 1e-9, "llm": 1 - 1e-9})
    return ModelEvent(
        kind=ModelEventKind.EXPERIMENT_STARTED, pool="default", round=0, experiment=running
    )


@pytest.mark.slow
def test_the_endpoint_answers_its_arm_and_the_champion_where_it_does_not(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker, tmp_path: Path
) -> None:
    event = started()
    send(settings, (MODEL_EVENTS, event.key(), event.to_bytes()))
    with chatting() as chat, ListuneClient(settings, schemas) as client:
        live = LiveEndpointSettings(
            url=chat.url,
            model="small",
            attempts=1,
            requests_a_day=4,
            spend_file=tmp_path / "spend.json",
        )
        serving = ServingSettings(endpoint=live).model_dump_json()
        one = worker("predict", SERVING=serving, LISTUNE_ENDPOINT_KEY=KEY).start()

        def ask() -> ListingPrediction:
            return client.predict(
                listing_id=new_id(), category="Lamps", title="A blue lamp", timeout_s=60
            )

        chat.says('{"colour": "blue"}')
        good = ask()
        told = told_in_turn(chat)
        fallen = [ask() for _ in range(4)]

    assert (good.adapter_id, good.adapter_hash) == ("endpoint:small", "endpoint:small")
    assert (good.values, good.arms) == ({"colour": ["blue"]}, {"ab": "llm"})
    assert (good.tokens_read, good.tokens_written, good.fell_back) == (50, 20, None)
    for answer in fallen:
        assert (answer.status, answer.adapter_id) == (Status.OK, "base")
        assert (answer.values, answer.arms) == ({"colour": ["red"]}, {"ab": "llm"})
    assert [word in str(a.fell_back) for word, a in zip(told, fallen, strict=True)] == [True] * 4
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in chat.headers)
    written = b"".join(value for *_, value in read_all(settings, PREDICTIONS))
    assert KEY not in one.log.read_text() + written.decode()


def told_in_turn(chat: Chat) -> list[str]:
    """The endpoint's next answers are unusable; what their `fell_back` is to contain.

    The last request is beyond the day's budget.
    """
    chat.replies = []
    chat.says("A fine lamp.")
    chat.replies += [(500, json.dumps({"error": f"{KEY} broke me"})), (401, f"who is {KEY}?")]
    return ["whole JSON object", "answers 500", "answers 401", "what a day may cost"]
