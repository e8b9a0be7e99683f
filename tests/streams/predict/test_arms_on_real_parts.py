"""An experiment on a real broker and a real Triton: who answers whom, and after a restart."""

from pathlib import Path

import pytest

from infra.local.supervisor import Supervisor
from schemas.category import CategorySchemas
from schemas.events import (
    ListingPrediction,
    ListingRequest,
    ModelEvent,
    ModelEventKind,
    Status,
    new_id,
)
from schemas.experiment import Arm, Experiment
from schemas.topic_names import MODEL_EVENTS, PREDICTIONS, REQUESTS
from serving.adapter_file import blob_hash
from serving.engine.model import linear_shapes, load_base
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from streams.kafka.publisher import Publisher
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from tests.serving.helpers import adapter_blob
from tests.streams.support import MakeWorker, read_all
from tests.waiting import wait_for

SELLERS = [f"seller-{n}" for n in range(40)]
SHARES = {"champion": 0.2, "base": 0.2, "blind": 0.2, "example": 0.2, "gone": 0.1}


def publish(settings: StreamsSettings, *records: tuple[str, str, bytes]) -> None:
    publisher = Publisher(settings)
    for topic, key, value in records:
        publisher.send(topic, key, value)
    publisher.flush(30)
    publisher.close()


def ask_for_each_seller(
    settings: StreamsSettings, schemas: CategorySchemas
) -> dict[str, ListingPrediction]:
    """The answer to one new request of each seller."""
    requests = {
        seller: ListingRequest(
            request_id=new_id(),
            listing_id="lamp",
            seller_id=seller,
            category="Lamps",
            category_schema_hash=schemas["Lamps"].hash,
            title="A red lamp of 5 cm",
        )
        for seller in SELLERS
    }
    publish(settings, *((REQUESTS, r.listing_key, r.to_bytes()) for r in requests.values()))

    def answers() -> dict[str, ListingPrediction] | None:
        found = {}
        for *_, value in read_all(settings, PREDICTIONS):
            prediction = ListingPrediction.model_validate_json(value)
            found.setdefault(prediction.request_id, prediction)
        if any(r.request_id not in found for r in requests.values()):
            return None
        return {seller: found[r.request_id] for seller, r in requests.items()}

    return wait_for(answers)


def promoted(triton: ServingSettings, tiny_base: Path, folder: Path) -> ModelEvent:
    """The event that makes a new adapter champion, which lies in a file and not in Triton."""
    base = load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)
    with TritonClient(triton) as client:
        blob = adapter_blob(linear_shapes(base.model), client.status().base_hash, "champion-r1-a1")
    file = folder / "champion.safetensors"
    file.write_bytes(blob)
    return ModelEvent(
        kind=ModelEventKind.PROMOTED,
        pool="default",
        round=1,
        adapter_id="champion-r1-a1",
        adapter_hash=blob_hash(blob),
        adapter_uri=str(file),
    )


def experiment(folder: Path) -> ModelEvent:
    gone = {"adapter_id": "gone", "adapter_hash": "0" * 64, "adapter_uri": str(folder / "gone")}
    arms = tuple(
        Arm(name=name, answers="adapter:gone", **gone)
        if name == "gone"
        else Arm(name=name, answers=name)
        for name in SHARES
    )
    running = Experiment(name="ab", arms=arms).grown(SHARES)
    return ModelEvent(
        kind=ModelEventKind.EXPERIMENT_STARTED, pool="default", round=0, experiment=running
    )


@pytest.mark.slow
def test_each_seller_is_answered_by_the_same_arm_before_and_after_a_restart(
    settings: StreamsSettings,
    schemas: CategorySchemas,
    worker: MakeWorker,
    triton: tuple[ServingSettings, Supervisor],
    tiny_base: Path,
    tmp_path: Path,
) -> None:
    champion, started = promoted(triton[0], tiny_base, tmp_path), experiment(tmp_path)
    publish(settings, *((MODEL_EVENTS, one.key(), one.to_bytes()) for one in (champion, started)))
    serving = triton[0].model_dump_json()
    first = worker("predict-with-triton", SERVING=serving).start()
    before = ask_for_each_seller(settings, schemas)
    assert first.stop() == 0
    worker("predict-with-triton", SERVING=serving).start()
    after = ask_for_each_seller(settings, schemas)
    blind = next(seller for seller in SELLERS if before[seller].adapter_hash == "blind")
    with ListuneClient(settings, schemas) as client:
        seen = client.predict(
            listing_id="other", seller_id=blind, category="Lamps", title="A lamp", timeout_s=120
        )
        client.review(seen, shown=seen.values, submitted={"colour": ["red"]})
    assert (seen.status, seen.values, seen.arms) == (Status.OK, {}, {"ab": "blind"})

    running, by = started.experiment, champion.adapter_hash
    assert running is not None
    expected = {"champion": by, "base": "base", "blind": "blind", "example": "base+example"}
    for answers in (before, after):
        for seller, answer in answers.items():
            arm = running.arm_of(seller)
            assert answer.status is Status.OK
            assert answer.arms == ({"ab": arm.name} if arm else {})
            assert answer.adapter_hash == expected.get(arm.name if arm else "champion", by)
            assert bool(answer.fell_back) is (arm is not None and arm.name == "gone")
            assert (answer.tokens_written > 0) is (answer.adapter_hash != "blind")
    read = {
        kind: {a.tokens_read for a in before.values() if a.adapter_hash == kind}
        for kind in ("base", "base+example")
    }
    assert min(read["base+example"]) > max(read["base"])  # the example has reached the model
    arms = {name for answer in before.values() for name in answer.arms.values()}
    assert arms == set(SHARES)
    assert {s: a.arms for s, a in before.items()} == {s: a.arms for s, a in after.items()}
    assert {s: a.values for s, a in before.items()} == {s: a.values for s, a in after.items()}
