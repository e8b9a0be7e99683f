"""What one predict worker passes on: requests out of Kafka, to an engine, predictions into Kafka.

A backlog waits. The engine answers at once (`engine`), so that what is measured is the worker. What
it has done is read from Kafka: where the log of predictions ends. `bare` does the same without
promising anything, in a process of its own: it neither validates nor says what it has read, and a
crash loses what is under way.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from confluent_kafka import Consumer, Producer
from tritonclient.grpc import service_pb2

from infra.lab.bench.job import peak_memory_mb, say
from infra.lab.bench.stream.curate import Progress
from infra.lab.bench.stream.engine import INFER
from infra.local.ports import HOST
from infra.local.process import ProcessSpec
from infra.local.supervisor import Supervisor
from infra.machine import REPOSITORY
from infra.settings import Settings
from infra.stack import worker_spec
from schemas.category import CategorySchema
from schemas.errors import ListuneError
from schemas.events import Status
from schemas.topic_names import PREDICTIONS, REQUESTS
from serving.process.ready import READY_FILE
from streams.kafka.log_reader import read_span
from streams.kafka.partitions import Partition
from streams.kafka.topics import admin_client, log_bounds

ENGINE, PREDICT = "engine", "predict"


def ends(settings: Settings) -> Callable[[], Mapping[Partition, int]]:
    """Where the log of predictions ends, asked anew by each call."""
    admin = admin_client(settings.streams)

    def ask() -> Mapping[Partition, int]:
        bounds = log_bounds(settings.streams, [PREDICTIONS], admin=admin)
        return {place: end for place, (_, end) in bounds.items()}

    return ask


@contextmanager
def engine(run_dir: Path, port: int, answer: bytes) -> Iterator[None]:
    """The stand-in for the engine, up while the block runs."""
    said, ready = run_dir / "answer.json", run_dir / "engine.ready"
    said.write_bytes(answer)
    spec = ProcessSpec(
        name=ENGINE,
        command=(sys.executable, "-m", "infra.lab.bench.stream.engine", str(port), str(said)),
        env={READY_FILE: str(ready)},
        cwd=REPOSITORY,
        ready=ready.exists,
    )
    with Supervisor([spec], run_dir / ENGINE):
        yield


@contextmanager
def predict(
    settings: Settings, run_dir: Path, progress: Progress
) -> Iterator[Callable[[], int | None]]:
    """A predict worker, run as `listune up` runs it; it is stopped when the block ends. What tells
    its process id.

    Raises:
        SupervisorError: it does not come up.
        ListuneError: it died meanwhile.
    """
    (run_dir / "settings.json").write_text(settings.model_dump_json())
    spec = worker_spec(PREDICT, run_dir, (), settings.streams.predict_health_port)
    up = Supervisor([spec], run_dir / PREDICT)
    progress.pid = lambda: up.pid(PREDICT)
    with up:
        yield progress.pid
        if up.restarts(PREDICT):
            raise ListuneError(f"the predict worker died; see {run_dir / PREDICT / 'logs'}")


def check(settings: Settings, before: Mapping[Partition, int], count: int) -> None:
    """Each of `count` requests has one answer in the log beyond `before`, and that is `ok`.

    Raises:
        ListuneError: it is not so.
    """
    span = {place: (before.get(place, 0), end) for place, end in ends(settings)().items()}
    answered: dict[str, str] = {}
    records = 0
    for batch in read_span(settings.streams, span):
        for record in batch:
            prediction = json.loads(record.value or b"{}")
            answered[prediction["request_id"]] = prediction["status"]
            records += 1
    if records != count or len(answered) != count or {*answered.values()} != {Status.OK}:
        words = sorted(set(answered.values()))
        raise ListuneError(f"of {count} requests {len(answered)} have answers, which are {words}")


@dataclass(frozen=True)
class BareJob:
    """What the bare loop is to pass on: `count` requests, about `attributes` as their JSON."""

    bootstrap_servers: str
    port: int
    model: str
    count: int
    in_flight: int
    attributes: list[dict[str, Any]]


def bare_job(
    settings: Settings, port: int, schema: CategorySchema, count: int, in_flight: int
) -> BareJob:
    """The bare loop's job, with the engine at `port`."""
    return BareJob(
        settings.streams.bootstrap_servers,
        port,
        settings.serving.model_name,
        count,
        in_flight,
        # As our client says them.
        [one.model_dump(mode="json", exclude_defaults=True) for one in schema.attributes],
    )


def bare(job: BareJob) -> dict[str, Any]:
    """The predictions of the loop, as `Commit`s, and its peak of memory."""
    loop = _Bare(job)
    loop.run()
    return {"commits": loop.commits, "peak_memory_mb": peak_memory_mb()}


class _Bare:
    """confluent-kafka's consumer, one gRPC call each, confluent-kafka's producer."""

    EVERY = 100

    def __init__(self, job: BareJob) -> None:
        self._job = job
        self.commits: list[tuple[float, float, int]] = []
        self._free = threading.Semaphore(job.in_flight)
        self._producer = Producer({"bootstrap.servers": job.bootstrap_servers, "linger.ms": 2})
        self._call = grpc.insecure_channel(f"{HOST}:{job.port}").unary_unary(INFER)
        self._done = 0

    def run(self) -> None:
        """Until each request has its prediction in the log."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._job.bootstrap_servers,
                "group.id": "bench.bare",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        consumer.subscribe([REQUESTS])
        asked = 0
        while asked < self._job.count:
            for message in consumer.consume(self._job.in_flight, 0.2):
                self._ask(json.loads(message.value() or b"{}"))
                asked += 1
            self._producer.poll(0)
        while self._done < self._job.count:
            self._producer.poll(0.1)
        consumer.close()

    def _ask(self, request: Mapping[str, Any]) -> None:
        self._free.acquire()
        listing = {key: request[key] for key in ("listing_id", "category", "title", "description")}
        said = {"op": "generate", "listing": listing, "attributes": self._job.attributes}
        call = self._call.future(_infer_request(self._job.model, json.dumps(said).encode()))
        call.add_done_callback(lambda done: self._answered(request, done.result()))

    def _answered(self, request: Mapping[str, Any], response: bytes) -> None:
        message = service_pb2.ModelInferResponse.FromString(response)
        result = json.loads(message.raw_output_contents[0][4:])
        prediction = {**result, "request_id": request["request_id"], "status": "ok"}
        key = request["listing_id"].encode()
        value = json.dumps(prediction).encode()
        self._producer.produce(PREDICTIONS, value, key, on_delivery=self._delivered)
        self._free.release()

    def _delivered(self, *_: object) -> None:
        self._done += 1
        if self._done % self.EVERY == 0 or self._done == self._job.count:
            self.commits.append((time.time(), time.process_time(), self._done))
            say(self._done, self._job.count, "requests")


def _infer_request(model: str, content: bytes) -> bytes:
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name="request", datatype="BYTES", shape=[1]
    )
    request = service_pb2.ModelInferRequest(
        model_name=model,
        inputs=[tensor],
        raw_input_contents=[len(content).to_bytes(4, "little") + content],
    )
    return bytes(request.SerializeToString())
