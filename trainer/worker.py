"""The process that takes rounds from `training.retrain` and answers each in `model.events`.

    STARTED, HEARTBEAT…, then one of
    PUBLISHED + PROPOSED    passed the gate, is in Triton and answered there unlike the base
    REJECTED, CHALLENGER    the gate's verdict; the adapter stays in the registry
    FAILED                  one sentence why

One round at a time, trained and judged in a process of its own (`trainer.round`) while this one
stays in its Kafka group and sends heartbeats. A second worker of the group stands by. The offset of
a round is committed only after its answer is acknowledged, and a round that has an answer is not
run again, so that a worker may be killed anywhere: the round goes on where it was. A further look
at a challenger is a round too, without the training.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import Message

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from serving.errors import Busy, ServingError, TimedOut, Unavailable
from serving.process.health import Health
from serving.process.ready import tell_ready
from serving.settings import ServingSettings
from serving.triton.client import TritonClient
from serving.triton.push import Canary, CanaryRequest, PushReport, push_and_try
from trainer import metrics
from trainer.data.dataset import Row
from trainer.data.pictures import RowPictures
from trainer.data.registry import Registry
from trainer.errors import DataError, TrainingError
from trainer.event_log import DELIVERY_S, EventLog
from trainer.judging.evaluation_store import Kept
from trainer.launch import RoundProcess
from trainer.progress import StageProgress
from trainer.results import Failure, RoundJob, RoundResult, Verdict, adapter_id, round_folder
from trainer.round_events import KIND_OF, judged_facts, round_event
from trainer.round_queue import RoundQueue
from trainer.settings import KafkaSettings, TrainerSettings

logger = logging.getLogger(__name__)

TEND_S = 0.2
PUSH_RETRY_S = 1.0

T = TypeVar("T")


class _Interrupted(Exception):
    """The worker is to stop, or the round went to another trainer: nothing is answered."""


class _Closed(Exception):
    """Somebody else closed the round, as the conductor does with one whose lease ran out."""


def main(trainer: TrainerSettings, serving: ServingSettings, kafka: KafkaSettings) -> None:
    """Take rounds until SIGTERM or SIGINT; returns within seconds of it.

    Raises:
        TrainingError, KafkaException: Kafka cannot be used; the supervisor starts the worker anew.
        HealthPortTaken: something else listens on `trainer.health_port`.
    """
    stopping = threading.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda *_: stopping.set())
    # The one thing that the main loop waits for is the delivery of an event.
    health = Health(limit_s=DELIVERY_S + 30)
    health.serve(trainer.health_port)
    with EventLog(kafka) as log, RoundQueue(kafka) as queue:
        Worker(trainer, serving, kafka, log, queue, stopping, health).run()


class Worker:
    """One trainer at work."""

    def __init__(
        self,
        trainer: TrainerSettings,
        serving: ServingSettings,
        kafka: KafkaSettings,
        log: EventLog,
        queue: RoundQueue,
        stopping: threading.Event,
        health: Health,
    ) -> None:
        """`stopping` ends `run`."""
        self._trainer = trainer
        self._serving = serving
        self._kafka = kafka
        self._log = log
        self._queue = queue
        self._stopping = stopping
        self._health = health
        self._name = f"trainer@{socket.gethostname()}:{os.getpid()}"
        self._erased: frozenset[str] = frozenset()

    def run(self) -> None:
        """Take and answer rounds until told to stop."""
        while not self._log.catch_up():
            self._health.turned()
            if self._stopping.is_set():
                return
        tell_ready()
        self._health.tell_ready()
        logger.info("waiting for rounds on %s", self._kafka.retrain_topic)
        while not self._stopping.is_set():
            self._health.turned()
            message = self._queue.take()
            self._log.follow()
            self._erase()
            if message is None:
                continue
            # The round copies its files, and the pool may not have changed them yet.
            self._erased = frozenset()
            try:
                self._deal_with(message)
            except _Interrupted:
                self._queue.release()
            else:
                self._queue.done()

    def _erase(self) -> None:
        """Takes what was forgotten since the last time out of what is kept here."""
        new = self._log.forgotten - self._erased
        if not new:
            return
        self._erased |= new
        folder = self._trainer.registry_dir
        try:
            files = Registry(folder).erase(new)
        except TrainingError as error:
            # A round leaves it out all the same, so the trainer goes on.
            logger.error("%s", error)
            return
        kept = Kept.of_registry(folder)
        removed, answers = kept.evaluations.erase(new), kept.answers.erase(new)
        if files or removed or answers:
            logger.info(
                "forgotten: %d files changed, %d evaluations and %d answers removed",
                files, removed, answers,
            )  # fmt: skip

    def _deal_with(self, message: Message) -> None:
        try:
            request = decode(RetrainRequest, message.value())
        except EventError as wrong:
            logger.error("offset %s is no round and is skipped: %s", message.offset(), wrong)
            return
        if self._kafka.pool and request.pool != self._kafka.pool:
            return
        # The group may just have given us a round that another trainer was at.
        self._tend(self._log.catch_up)
        if self._log.answered(request):
            logger.info("%s is answered already", adapter_id(request))
            return
        metrics.ROUND.set(request.round)
        try:
            self._answer(request)
        except _Closed:
            logger.warning("%s was closed by another; it is given up", adapter_id(request))
        finally:
            metrics.ROUND.set(0)

    def _answer(self, request: RetrainRequest) -> None:
        logger.info("round %s: taken", adapter_id(request))
        self._log.publish(self._event(request, ModelEventKind.STARTED))
        outcome = self._run_process(request)
        if isinstance(outcome, Failure):
            answer = self._failed(request, outcome.reason)
        else:
            answer = self._judged(request, outcome)
        self._log.publish(answer)
        metrics.answered(answer)
        logger.info("round %s: %s, %s", adapter_id(request), answer.kind, answer.reason)

    def _run_process(self, request: RetrainRequest) -> RoundResult | Failure:
        process = RoundProcess(
            RoundJob(
                retrain=request,
                trainer=self._trainer,
                serving=self._serving,
                folder=round_folder(self._trainer.work_dir, request),
                forgotten=self._log.forgotten,
            )
        )
        try:
            self._tend(process.ended, request, process.progress)
            return process.outcome()
        finally:
            process.stop()

    def _judged(self, request: RetrainRequest, result: RoundResult) -> ModelEvent:
        """The answer to a round that was judged; an adapter that passed is in Triton by then."""
        facts = judged_facts(result)
        if result.decision.kind is Verdict.PROMOTE:
            pushing = _in_thread(lambda: self._push(result))
            self._tend(pushing.done, request, lambda: StageProgress(stage="push", done=0, total=1))
            try:
                report = pushing.result()
            except (ServingError, DataError) as error:
                return self._failed(request, str(error))
            facts["details"]["push_seconds"] = report.push_seconds
            self._log.publish(self._event(request, ModelEventKind.PUBLISHED, **facts))
        return self._event(request, KIND_OF[result.decision.kind], **facts)

    def _push(self, result: RoundResult) -> PushReport:
        tried = result.canary
        row = Row(tried.listing, tried.attributes, {}, pictures=tried.pictures)
        seen = tuple(picture.data for picture in RowPictures.of_settings(self._serving).of(row))
        listing = CanaryRequest(tried.listing, tried.attributes, seen)
        deadline = time.monotonic() + self._kafka.push_patience_s
        while True:
            try:
                with TritonClient(self._serving) as client:
                    path = Path(result.adapter_path)
                    return push_and_try(client, path, result.adapter_id, Canary((listing,)))
            except (Unavailable, TimedOut, Busy) as error:
                if time.monotonic() > deadline:
                    raise
                logger.warning("%s cannot be pushed yet: %s", result.adapter_id, error)
            if self._stopping.wait(PUSH_RETRY_S):
                raise Unavailable("the trainer is stopping; the round goes on when it is back")

    def _tend(
        self,
        finished: Callable[[], bool],
        request: RetrainRequest | None = None,
        progress: Callable[[], StageProgress | None] = lambda: None,
    ) -> None:
        """Wait for `finished`, staying in the group, with heartbeats for `request`.

        Raises:
            _Interrupted: the worker is to stop, or the round went to another trainer.
            _Closed: the round was closed by another.
        """
        due = 0.0
        while not finished():
            self._health.turned()
            if self._stopping.is_set() or not self._queue.keep(TEND_S):
                raise _Interrupted
            if request is None:
                continue
            self._log.follow()
            if self._log.answered(request):
                raise _Closed
            if time.monotonic() >= due:
                due = time.monotonic() + self._trainer.heartbeat_s
                now = progress()
                details = now.model_dump() if now else {}
                self._log.tell(self._event(request, ModelEventKind.HEARTBEAT, details=details))

    def _failed(self, request: RetrainRequest, reason: str) -> ModelEvent:
        return self._event(request, ModelEventKind.FAILED, reason=reason)

    def _event(self, request: RetrainRequest, kind: ModelEventKind, **facts: Any) -> ModelEvent:
        return round_event(request, kind, self._name, **facts)


def _in_thread(work: Callable[[], T]) -> "Future[T]":
    """Run `work` aside. A daemon thread: a Triton that hangs must not keep the worker from ending,
    as an executor would."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="push", daemon=True).start()
    return future
