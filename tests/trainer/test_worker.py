"""The worker against the real broker and the real Triton: each round gets one answer."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import duckdb
import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.local.ports import free_port
from infra.local.supervisor import Supervisor
from schemas.decoding import decode
from schemas.events import (
    BASE_ADAPTER,
    ListingForgotten,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
    listing_sha256,
)
from serving.process.ready import READY_FILE
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from tests.builders import make_rows, write_heldout, write_manifest
from tests.waiting import wait_for
from trainer.data.dataset import read_rows
from trainer.data.registry import Registry
from trainer.errors import DataError
from trainer.event_log import EventLog
from trainer.settings import KafkaSettings, TrainerSettings

REPOSITORY = Path(__file__).resolve().parents[2]
WAIT_S = 150.0
ANSWERS = {
    ModelEventKind.PROPOSED,
    ModelEventKind.REJECTED,
    ModelEventKind.CHALLENGER,
    ModelEventKind.FAILED,
}


class Scene:
    """Topics of one test's own, the rounds ordered on them, and the workers that take them."""

    def __init__(self, folder: Path, bootstrap: str, serving: ServingSettings) -> None:
        self.folder = folder
        self.serving = serving
        # Triton keeps adapters from test to test, and their ids are never reused.
        self.pool = name = uuid.uuid4().hex[:8]
        self.kafka = KafkaSettings(
            bootstrap_servers=bootstrap,
            retrain_topic=f"retrain-{name}",
            events_topic=f"events-{name}",
            forgotten_topic=f"forgotten-{name}",
            group=f"trainer-{name}",
            push_patience_s=3.0,
        )
        self.trainer = TrainerSettings(
            rank=4,
            alpha=8,
            learning_rate=1e-2,
            steps=8,
            batch_size=4,
            checkpoint_every=2,
            dtype="float32",
            registry_dir=folder / "registry",
            work_dir=folder / "rounds",
            heldout=write_heldout(make_rows(4, seed=9), folder / "heldout.jsonl"),
            least_gain=-2.0,  # below all that is possible: every candidate passes
            bootstrap_draws=200,
            heartbeat_s=0.5,
            progress=False,
        )
        self.processes: list[subprocess.Popen[bytes]] = []
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        names = (self.kafka.retrain_topic, self.kafka.events_topic, self.kafka.forgotten_topic)
        topics = [NewTopic(name, 1, 1) for name in names]
        for created in admin.create_topics(topics).values():
            created.result(10)

    def order(self, **changes: object) -> RetrainRequest:
        train = write_manifest(make_rows(6), self.folder / "train.parquet")
        request = {
            "pool": self.pool,
            "round": 1,
            "parent_id": BASE_ADAPTER,
            "parent_hash": BASE_ADAPTER,
            "selection": "gap",
            "k": 6,
            "min_gap": 0.0,
            "files": [train],
        }
        order = RetrainRequest.model_validate(request | changes)
        self.send(self.kafka.retrain_topic, order.to_bytes())
        return order

    def send(self, topic: str, payload: bytes) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers})
        producer.produce(topic, payload)
        assert producer.flush(10) == 0

    def worker(self) -> "subprocess.Popen[bytes]":
        path = self.folder / "settings.json"
        settings = {
            "trainer": self.trainer.model_dump(mode="json"),
            "serving": self.serving.model_dump(mode="json"),
            "kafka": self.kafka.model_dump(mode="json"),
        }
        path.write_text(json.dumps(settings))
        command = [sys.executable, str(Path(__file__).with_name("run_worker.py")), str(path)]
        env = os.environ | {"PYTHONPATH": str(REPOSITORY), READY_FILE: str(self.ready)}
        self.processes.append(subprocess.Popen(command, cwd=self.folder, env=env))
        return self.processes[-1]

    @property
    def ready(self) -> Path:
        return self.folder / "ready"

    def events(self, until: Callable[[list[ModelEvent]], bool]) -> list[ModelEvent]:
        """All model events from the beginning, once they fulfil `until`."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": uuid.uuid4().hex}
        )
        consumer.assign([TopicPartition(self.kafka.events_topic, 0, OFFSET_BEGINNING)])
        found: list[ModelEvent] = []
        deadline = time.monotonic() + WAIT_S
        while not until(found):
            assert time.monotonic() < deadline, [event.kind for event in found]
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                found.append(decode(ModelEvent, message.value()))
        consumer.close()
        return found

    def answers(self, count: int = 1) -> list[ModelEvent]:
        answered = self.events(lambda found: sum(e.kind in ANSWERS for e in found) >= count)
        return [event for event in answered if event.kind in ANSWERS]

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def scene(
    tmp_path: Path, bootstrap: str, triton: tuple[ServingSettings, Supervisor]
) -> Iterator[Scene]:
    scene = Scene(tmp_path, bootstrap, triton[0])
    yield scene
    scene.end()


def until_place(scene: Scene, stage: str) -> None:
    scene.events(lambda found: any(e.details.get("stage") == stage for e in found))


def round_processes(worker: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return psutil.Process(worker.pid).children(recursive=True)


def said(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
        return str(answer.read().decode())


def test_a_round_that_passes_is_pushed_published_and_proposed(scene: Scene) -> None:
    port = free_port()
    scene.trainer = scene.trainer.model_copy(update={"health_port": port})
    scene.order()
    worker = scene.worker()
    events = scene.events(lambda found: any(e.kind in ANSWERS for e in found))
    kinds = [event.kind for event in events]
    assert kinds[0] is ModelEventKind.STARTED
    assert ModelEventKind.HEARTBEAT in kinds
    assert kinds[-2:] == [ModelEventKind.PUBLISHED, ModelEventKind.PROPOSED]
    proposed = events[-1]
    assert proposed.adapter_id == f"{scene.pool}-r1-a1"
    assert proposed.metrics is not None
    assert proposed.adapter_uri is not None
    assert Path(proposed.adapter_uri).is_file()
    with TritonClient(scene.serving) as client:
        assert proposed.adapter_hash in {a.hash for a in client.status().adapters}
        row = make_rows(1)[0]
        given = client.generate(row.listing, row.attributes, adapter_hash=proposed.adapter_hash)
    assert given.adapter_hash == proposed.adapter_hash
    assert scene.ready.exists()
    assert said(port, "ready") == "ready\n"
    wait_for(lambda: 'rounds_total{outcome="proposed"} 1.0' in said(port, "metrics"))
    assert 'listune_stage_seconds_count{stage="push"} 1.0' in said(port, "metrics")
    worker.terminate()
    assert worker.wait(WAIT_S) == 0


def test_a_round_is_answered_once_and_the_next_starts_from_it(scene: Scene) -> None:
    scene.order()
    first = scene.worker()
    [one] = scene.answers()
    # Killed before it may have committed: the round comes again and is recognised.
    first.kill()
    first.wait()
    scene.order(
        round=2,
        parent_id=one.adapter_id,
        parent_hash=one.adapter_hash,
        parent_uri=one.adapter_uri,
    )
    scene.worker()
    answers = scene.answers(2)
    assert [(a.round, a.attempt) for a in answers] == [(1, 1), (2, 1)]
    assert answers[1].parent_metrics == one.metrics


def test_what_is_left_undecided_is_answered_again_at_each_look(scene: Scene) -> None:
    scene.trainer = scene.trainer.model_copy(update={"least_gain": 0.0})
    first = scene.order()
    scene.worker()
    [one] = scene.answers()
    assert one.kind is ModelEventKind.CHALLENGER
    look = first.model_copy(update={"look": 2, "files": []})
    scene.send(scene.kafka.retrain_topic, look.to_bytes())
    two = scene.answers(2)[1]
    assert (two.kind, two.round, two.attempt, two.look) == (one.kind, 1, 1, 2)
    assert two.adapter_hash == one.adapter_hash
    assert two.train_seconds == one.train_seconds
    scene.send(scene.kafka.retrain_topic, look.to_bytes())  # it comes twice
    scene.order(round=2)
    assert [(a.round, a.look) for a in scene.answers(3)] == [(1, 1), (1, 2), (2, 1)]
    # A look at an earlier round's challenger, after a later round has ended.
    third = look.model_copy(update={"look": 3})
    scene.send(scene.kafka.retrain_topic, third.to_bytes())
    assert [(a.round, a.look) for a in scene.answers(4)][3] == (1, 3)


def test_a_forgotten_listing_is_in_no_round_and_leaves_the_registry(scene: Scene) -> None:
    def forget(listing: str) -> None:
        event = ListingForgotten(listing_sha256=listing_sha256(listing))
        scene.send(scene.kafka.forgotten_topic, event.to_bytes())

    forget("l0")
    scene.order()
    scene.worker()
    [answer] = scene.answers()
    assert answer.details["listings"] == 5
    [entry] = Registry(scene.trainer.registry_dir).entries()
    forget("l1")

    def is_gone() -> bool:
        return not {row.listing.listing_id for row in read_rows(entry.data())} & {"l0", "l1"}

    # A file may be read in the very moment in which the worker replaces it.
    wait_for(is_gone, meanwhile=(DataError, duckdb.Error))


def test_a_log_read_to_its_end_is_caught_up_with_whenever_that_is_asked(scene: Scene) -> None:
    with EventLog(scene.kafka) as log:
        wait_for(log.catch_up)
        time.sleep(1)  # by then a fetch waits for records, and others wait behind it
        assert all(log.catch_up() for _ in range(10))


def test_a_killed_worker_takes_its_round_with_it_and_goes_on_when_it_is_back(
    scene: Scene,
) -> None:
    scene.trainer = scene.trainer.model_copy(update={"steps": 100})
    scene.order()
    worker = scene.worker()
    until_place(scene, "train")
    [*processes] = round_processes(worker)
    assert processes
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    _, alive = psutil.wait_procs(processes, timeout=WAIT_S)
    assert alive == []
    scene.worker()
    [answer] = scene.answers()
    assert answer.kind is ModelEventKind.PROPOSED
    losses = Path(str(answer.details["losses"])).read_text().splitlines()
    assert [json.loads(line)["step"] for line in losses] == list(range(1, 101))


def test_the_trainer_that_stands_by_takes_over_from_one_that_was_killed(scene: Scene) -> None:
    scene.trainer = scene.trainer.model_copy(update={"steps": 100})
    working = scene.worker()
    scene.order()
    until_place(scene, "train")
    standing_by = scene.worker()
    working.kill()
    [answer] = scene.answers()
    assert answer.kind is ModelEventKind.PROPOSED
    assert str(answer.worker).endswith(f":{standing_by.pid}")


def test_sigterm_ends_worker_and_round_long_before_it_is_done(scene: Scene) -> None:
    scene.trainer = scene.trainer.model_copy(update={"steps": 1_000_000})
    scene.order()
    worker = scene.worker()
    until_place(scene, "train")
    processes = round_processes(worker)
    worker.terminate()
    assert worker.wait(WAIT_S) == 0
    _, alive = psutil.wait_procs(processes, timeout=WAIT_S)
    assert alive == []


def test_a_round_that_cannot_be_completed_fails_with_its_reason(scene: Scene) -> None:
    scene.send(scene.kafka.retrain_topic, b"{")
    scene.order(parent_id="default-r9-a1", parent_hash="0" * 64)
    scene.worker()
    [answer] = scene.answers()
    assert answer.kind is ModelEventKind.FAILED
    assert "default-r9-a1" in str(answer.reason)


def test_an_adapter_that_did_not_change_is_refused(scene: Scene) -> None:
    scene.trainer = scene.trainer.model_copy(update={"learning_rate": 1e-60, "steps": 1})
    scene.order()
    scene.worker()
    [answer] = scene.answers()
    assert answer.kind is ModelEventKind.FAILED
    assert "no parameter changed" in str(answer.reason)


def test_a_round_closed_by_another_is_given_up(scene: Scene) -> None:
    scene.trainer = scene.trainer.model_copy(update={"steps": 1_000_000})
    scene.order()
    worker = scene.worker()
    until_place(scene, "train")
    closed = ModelEvent(
        kind=ModelEventKind.FAILED, pool=scene.pool, round=1, reason="lease_expired"
    )
    scene.send(scene.kafka.events_topic, closed.to_bytes())
    _, alive = psutil.wait_procs(round_processes(worker), timeout=WAIT_S)
    assert alive == []
    assert worker.poll() is None


def test_a_triton_that_does_not_answer_fails_the_round(scene: Scene) -> None:
    scene.serving = scene.serving.model_copy(update={"triton_url": f"127.0.0.1:{free_port()}"})
    scene.order()
    scene.worker()
    [answer] = scene.answers()
    assert answer.kind is ModelEventKind.FAILED
    assert "Triton" in str(answer.reason)
