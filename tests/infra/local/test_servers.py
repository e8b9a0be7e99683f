"""Kafka and Triton start as they are, serve, survive a restart, and listen on 127.0.0.1 only."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tritonclient.utils import InferenceServerException

from infra.local.kafka import Kafka
from infra.local.ports import free_port
from infra.local.supervisor import Supervisor
from infra.local.triton import Triton
from tests.infra.local_parts import lives
from tests.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]

CONFIG = """
name: "echo"
backend: "python"
input [{ name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }]
output [{ name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }]
instance_group [{ kind: KIND_CPU count: 1 }]
"""
MODEL = """
import os
import numpy
import triton_python_backend_utils as backend
import serving  # the repository's rooms are on the path

class TritonPythonModel:
    def execute(self, requests):
        return [backend.InferenceResponse([self.answer(request)]) for request in requests]

    def answer(self, request):
        text = backend.get_input_tensor_by_name(request, "TEXT").as_numpy()[0].decode()
        said = f"{text} {os.environ['ECHO']} {os.getpid()}".encode()
        return backend.Tensor("TEXT", numpy.array([said], dtype=object))
"""


@pytest.fixture
def kafka(kafka_jars: Path, tmp_path: Path) -> Kafka:
    return Kafka(kafka_jars, tmp_path / "kafka", free_port(), free_port(), heap="256m")


@pytest.fixture
def triton(triton_home: Path, tmp_path: Path) -> Triton:
    model = tmp_path / "models" / "echo"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIG)
    (model / "1" / "model.py").write_text(MODEL)
    return Triton(
        triton_home,
        tmp_path / "models",
        tmp_path / "triton",
        grpc_port=free_port(),
        metrics_port=free_port(),
        env={"ECHO": "from the environment"},
        model="echo",
    )


def test_kafka_keeps_its_messages_and_its_identity_over_a_restart(
    kafka: Kafka, tmp_path: Path
) -> None:
    with Supervisor([kafka.spec()], tmp_path / "run") as stack:
        assert _listens_only_here(stack, "kafka")
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic("listings", 2, 1)])["listings"].result(10)
        first = _cluster_id(kafka)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
        for number in range(100):
            producer.produce("listings", key=str(number % 7), value=f"listing {number}")
        assert producer.flush(10) == 0

        stack.kill("kafka")
        wait_for(lambda: stack.restarts("kafka") == 1)
        stack.wait_ready("kafka")

        assert _cluster_id(kafka) == first
        assert set(_read(kafka, "listings", 100)) == {f"listing {number}" for number in range(100)}

    moved = Kafka(kafka.jars, kafka.data_dir, free_port(), free_port(), heap="256m")
    with Supervisor([moved.spec()], tmp_path / "run"):
        assert len(_read(moved, "listings", 100)) == 100


def test_kafka_does_not_make_a_topic_that_is_misspelt(kafka: Kafka, tmp_path: Path) -> None:
    with Supervisor([kafka.spec()], tmp_path / "run"):
        failures: list[KafkaError | None] = []
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 3000})
        producer.produce("listigns", b"x", on_delivery=lambda error, _: failures.append(error))
        producer.flush(10)

        assert failures
        assert failures[0] is not None
        topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=5).topics
        assert "listigns" not in topics


def test_triton_serves_a_python_model_and_comes_back_after_a_crash(
    triton: Triton, tmp_path: Path
) -> None:
    with Supervisor([triton.spec()], tmp_path / "run") as stack:
        assert _listens_only_here(stack, "triton")
        text, stub = _echo(triton).rsplit(" ", 1)
        assert text == "hello from the environment"
        url = f"http://127.0.0.1:{triton.metrics_port}/metrics"
        with urllib.request.urlopen(url) as answer:
            assert b"nv_inference_request_success" in answer.read()

        stack.kill("triton")
        wait_for(lambda: stack.restarts("triton") == 1)
        stack.wait_ready("triton")
        assert not lives(int(stub))
        assert _echo(triton).startswith("hello")
        regions = list(Path("/dev/shm").glob(f"{triton._region_prefix}*"))
        assert len(regions) == 1
    assert not list(Path("/dev/shm").glob(f"{triton._region_prefix}*"))


SUPERVISE = """
import sys
from pathlib import Path
from infra.local.supervisor import Supervisor
from infra.local.triton import Triton
home, models, work, grpc, metrics = sys.argv[1:]
folders, ports = map(Path, (home, models, work)), map(int, (grpc, metrics))
triton = Triton(*folders, *ports, env={"ECHO": "x"}, model="echo")
Supervisor([triton.spec()], Path(work) / "run").run()
"""


def test_a_supervisor_killed_outright_leaves_no_triton_and_no_stub(
    triton: Triton, tmp_path: Path
) -> None:
    arguments = [triton.home, triton.model_repository, tmp_path]
    arguments += [triton.grpc_port, triton.metrics_port]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, *map(str, arguments)], cwd=REPOSITORY
    )
    try:
        wait_for(lambda: _is_ready(triton))
        stub = int(_echo(triton).rsplit(" ", 1)[1])
        server = psutil.Process(stub).ppid()
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_for(lambda: not lives(stub) and not lives(server))


def _is_ready(triton: Triton) -> bool:
    try:
        return triton.ready()
    except InferenceServerException:
        return False


def _echo(triton: Triton) -> str:
    text = tritonclient.grpc.InferInput("TEXT", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"hello"], dtype=object))
    with tritonclient.grpc.InferenceServerClient(triton.url) as client:
        answer: bytes = client.infer("echo", [text]).as_numpy("TEXT")[0]
    return answer.decode()


def _read(kafka: Kafka, topic: str, count: int) -> list[str]:
    settings = {"bootstrap.servers": kafka.bootstrap, "group.id": "reader"}
    settings |= {"auto.offset.reset": "earliest", "enable.auto.commit": "false"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    texts = []
    try:
        while len(texts) < count:
            message = consumer.poll(15)
            assert message is not None, "no more messages came"
            assert message.error() is None
            texts.append(message.value().decode())
    finally:
        consumer.close()
    return texts


def _cluster_id(kafka: Kafka) -> str:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    return str(admin.list_topics(timeout=5).cluster_id)


def _listens_only_here(stack: Supervisor, name: str) -> bool:
    listening = [
        c for c in psutil.Process(stack.pid(name)).net_connections() if c.status == "LISTEN"
    ]
    return bool(listening) and all(c.laddr.ip.endswith("127.0.0.1") for c in listening)
