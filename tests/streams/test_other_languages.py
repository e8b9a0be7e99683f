"""The producers in docs/producers, run as they stand there, where their runtimes are here."""

import os
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.local.settings import LocalSettings
from schemas.category import CategorySchemas
from schemas.decoding import decode
from schemas.events import ListingPrediction, ListingReview, Status
from schemas.topic_names import REQUESTS, REVIEWS
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker, read_all
from tests.waiting import LONG_S

PRODUCERS = Path(__file__).parents[2] / "docs" / "producers"


def run(command: Sequence[str], **env: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command beside the producers; one that hangs is ended."""
    return subprocess.run(
        command,
        cwd=PRODUCERS,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )


def runtime(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} on this machine; install {package}")
    return found


@pytest.fixture
def java(kafka_jars: Path) -> list[str]:
    """With Kafka's own client, whose jars are among the broker's."""
    java = runtime("java", "a JDK of version 17 or later")
    if "jdk.compiler" not in run([java, "--list-modules"]).stdout:
        pytest.skip(f"{java} runs no source files; install a JDK in place of a runtime")
    return [java, "-cp", f"{kafka_jars}/*", "Producer.java"]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    node = runtime("node", "Node.js 18 or later")
    prefix = LocalSettings().cache_dir / "node"
    known = os.environ.get("NODE_PATH", "")
    monkeypatch.setenv("NODE_PATH", os.pathsep.join([known, str(prefix / "node_modules")]))
    if run([node, "-e", 'require.resolve("kafkajs")']).returncode:
        pytest.skip(f"KafkaJS is not here; npm install --prefix {prefix} kafkajs@2")
    return [node, "producer.js"]


@pytest.fixture
def go(tmp_path: Path) -> list[str]:
    go = runtime("go", "Go 1.24 or later")
    offline = {"GOPROXY": "off", "GOFLAGS": "-mod=readonly"}
    if run([go, "list", "-deps", "."], **offline).returncode:
        pytest.skip(f"the client for Go is not here; run `go build -o /dev/null .` in {PRODUCERS}")
    program = str(tmp_path / "producer")
    built = run([go, "build", "-o", program, "."], **offline)
    assert built.returncode == 0, built.stderr
    return [program]


@pytest.mark.slow
@pytest.mark.parametrize("language", ["java", "node", "go"])
def test_a_producer_in_another_language_gets_values_and_sends_a_review(
    language: str,
    request: pytest.FixtureRequest,
    settings: StreamsSettings,
    schemas: CategorySchemas,
    worker: MakeWorker,
) -> None:
    command = request.getfixturevalue(language)
    worker("predict").start()
    ran = run([*command, settings.bootstrap_servers, "Lamps", "A red lamp"])
    assert ran.returncode == 0, ran.stderr[-3000:]

    prediction = decode(ListingPrediction, ran.stdout.encode())
    assert (prediction.status, prediction.values) == (Status.OK, {"colour": ["red"]})
    # The producer sends none.
    assert prediction.category_schema_hash == schemas["Lamps"].hash
    [(partition, _, key, asked)] = read_all(settings, REQUESTS)
    [(beside, _, _, reviewed)] = read_all(settings, REVIEWS)
    review = decode(ListingReview, reviewed)
    assert review.prediction_id == prediction.prediction_id
    assert review.shown == review.submitted == prediction.values

    publisher = Publisher(settings)
    ours = publisher.send(REQUESTS, key.decode(), asked).result(LONG_S)
    publisher.close()
    assert partition == beside == ours.partition
    by_crc32 = zlib.crc32(key) % settings.partitions
    assert by_crc32 != partition, f"by another partitioner {key!r} lies there too: take another id"
