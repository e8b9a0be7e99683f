"""What both Faust apps share: how an app is made, run, committed for and ended.

Faust 0.15 acknowledges what is not done: a record that it skips after a rebalance, a batch whose
handler raised, records in flight behind a finished one. So its acknowledgement is switched off
(`raw_topic`), and a worker commits offsets itself, after the effect, through `commit`.

An unexpected exception ends the process with code 1 (`crash`); the supervisor starts it again.
`Refused` ends it with `REFUSED_CODE`, after which the supervisor gives up. A worker that is asked
to stop has `STOP_S` seconds for it: Faust itself would wait without a limit.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, NoReturn

import faust
from faust.assignor import PartitionAssignor
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from schemas.errors import ListuneError
from streams.errors import REFUSED_CODE, Refused
from streams.kafka.partitions import Partition
from streams.kafka.topics import record_limit
from streams.settings import StreamsSettings
from streams.worker.fetching import OneByOne, Transport
from streams.worker.gc_tuning import collect_seldom

log = logging.getLogger(__name__)

STOP_S = 5.0
SESSION_S = 15.0
"""A worker silent for this long loses its partitions; the broker allows no less than 6."""

_tasks: set[asyncio.Task[None]] = set()


class _App(faust.App):
    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    def FlowControlQueue(self, maxsize: int | None = None, **more: Any) -> "Buffer":
        return Buffer(maxsize, flow_control=self.flow_control, **more)


class Buffer(ThrowableQueue[Any]):
    """What is read ahead for an agent. Once there is enough, Faust fetches no more of a partition.

    What it had fetched by then would wait for room, and with it all that is read for other agents:
    sellers' requests behind orders that nobody waits for. It is in memory already, so it goes in.
    """

    def full(self) -> bool:
        return False

    def clear(self) -> None:
        # In a rebalance, after which Faust fetches of all partitions. To resume once more what was
        # stopped before would let it fetch without an end.
        self._pending_pressure_drop_callbacks.clear()
        super().clear()


def make_app(
    settings: StreamsSettings,
    group: str,
    worker: str,
    buffer: int,
    scheduler: type[Any] = OneByOne,
    assignor: type[Any] = PartitionAssignor,
) -> faust.App:
    """A Faust app in consumer group `group`; what aborted transactions wrote it does not see.

    Args:
        worker: this process's name in the group, unlike any other's. With it membership is static:
            after a SIGKILL the next process of that name takes the partitions over at once.
        buffer: records read ahead for each agent; parcels of records with `Parcels`.
        scheduler: how what was fetched, in stretches, is handed on.
        assignor: which member gets which partitions.
    """
    folder = settings.pool_dir / "faust"
    folder.mkdir(parents=True, exist_ok=True)
    group = settings.in_kafka(group)
    return _App(
        group,
        broker=[f"kafka://{address}" for address in settings.bootstrap_servers.split(",")],
        consumer_group_instance_id=f"{group}.{worker}",
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=SESSION_S / 5,
        consumer_max_fetch_size=record_limit(settings),
        stream_buffer_maxsize=buffer,
        stream_wait_empty=False,
        ConsumerScheduler=scheduler,
        PartitionAssignor=assignor,
        store="memory://",
        datadir=str(folder),
        web_enabled=False,  # it would bind 0.0.0.0, with debug routes
        topic_disable_leader=True,
        topic_allow_declare=False,
        autodiscover=False,
        worker_redirect_stdouts=False,
    )


def raw_topic(app: faust.App, settings: StreamsSettings, *names: str) -> Any:
    """A channel of the bytes on topics `names`, never acknowledged by Faust itself."""
    topics = map(settings.in_kafka, names)
    return app.topic(
        *topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
        acks=False,
    )  # fmt: skip


def assignment(app: faust.App, settings: StreamsSettings) -> list[Partition]:
    """The partitions that this worker has now."""
    return [partition_of(settings, tp) for tp in app.consumer.assignment()]


def partition_of(settings: StreamsSettings, place: Any) -> Partition:
    """The partition that a record came from, or that Faust names by a `TP`."""
    return (settings.from_kafka(place.topic), place.partition)


def in_kafka(settings: StreamsSettings, offsets: Mapping[Partition, int]) -> dict[TP, int]:
    """Offsets of partitions as Faust's consumer takes them."""
    return {TP(settings.in_kafka(topic), p): at for (topic, p), at in offsets.items()}


async def commit(
    app: faust.App, settings: StreamsSettings, offsets: Mapping[Partition, int]
) -> bool:
    """Tells Kafka the next offset to read of each partition; revoked ones are left out.

    Returns:
        False where all are revoked, or the broker refused it: the group has rebalanced, or this
        worker is out of it.
    """
    if not offsets:
        return True
    consumer: Any = app.consumer  # its public `commit` goes by Faust's own acknowledgements
    thread = consumer._thread

    async def commit_held(wanted: Mapping[TP, int]) -> bool:
        # In the thread in which partitions come and go: Faust ends the process where none is left.
        if wanted.keys().isdisjoint(thread.assignment()):
            return False
        return bool(await thread._commit(wanted))

    return bool(await thread.call_thread(commit_held, in_kafka(settings, offsets)))


def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Runs `work` beside the caller; an exception in it ends the process."""
    task = asyncio.ensure_future(work)
    _tasks.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        crash(error)


def crash(error: BaseException) -> NoReturn:
    """Ends the process: what is not acknowledged is done again by the next one.

    With code 1, or with `REFUSED_CODE` where the next one would be refused as well.
    """
    if isinstance(error, ListuneError):
        log.critical("%s", error)
    else:
        log.critical("unexpected failure, the worker ends", exc_info=error)
    _end(REFUSED_CODE if isinstance(error, Refused) else 1)


def close_with(app: faust.App, close: Callable[[], Awaitable[None]]) -> None:
    """Has `close` called when `app` stops, after what is under way was given up: the next process
    does that again."""

    async def stopping(*_: Any, **__: Any) -> None:
        for task in _tasks:
            task.cancel()
        await close()

    app.on_before_shutdown.connect(stopping, weak=False)


def run(app: faust.App) -> NoReturn:
    """Runs the app until SIGTERM or SIGINT, then ends the process with code 0."""
    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    collect_seldom()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(
        app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False
    )
    worker.spinner = None  # it writes escape codes into the log

    def code() -> int:
        return 0 if worker._signal_stop_time else 1

    def stopping(*_: Any, **__: Any) -> None:
        deadline = threading.Timer(STOP_S, lambda: _end(code()))
        deadline.daemon = True
        deadline.start()

    app.on_before_shutdown.connect(stopping, weak=False)
    try:
        worker.execute_from_commandline()
    except SystemExit:
        _end(code())
    except BaseException as error:
        crash(error)


def _end(code: int) -> NoReturn:
    """Ends at once: threads in the middle of an inference would be waited for otherwise."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
