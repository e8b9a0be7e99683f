"""The rounds that are ordered: one trainer of the group takes one at a time."""

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from trainer.kafka_errors import raise_unless_passing
from trainer.settings import KafkaSettings

POLL_S = 0.5
# A worker that was killed is noticed after this long; its rounds then go to the one standing by.
SESSION_MS = 10_000


class RoundQueue:
    """`training.retrain` in the trainers' group: one round at a time; use as a context manager.

    While a round is held the partition is paused and polling goes on, so that the group does not
    take the trainer for dead however long a round is.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": settings.group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": SESSION_MS // 3,
                "topic.metadata.refresh.interval.ms": 5_000,
            }
        )
        self._held: Message | None = None
        self._lost = False
        self._consumer.subscribe(
            [settings.retrain_topic], on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def __enter__(self) -> "RoundQueue":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def take(self) -> Message | None:
        """The next record, which is held from now on; None if none came within half a second."""
        message = self._poll(POLL_S)
        if message is not None:
            self._held, self._lost = message, False
            self._consumer.pause(self._consumer.assignment())
        return message

    def keep(self, timeout: float) -> bool:
        """Stay in the group for up to `timeout` seconds; whether the record is still ours."""
        strayed = self._poll(timeout)
        if strayed is not None:
            # A new assignment forgets the pause.
            self._consumer.pause(self._consumer.assignment())
            self._seek(strayed)
        return not self._lost

    def done(self) -> None:
        """The held record is dealt with and is not given out again.

        If the group went on without this trainer, as after the broker was away for longer than its
        session, it does come again: whoever takes it finds the round answered.

        Raises:
            TrainingError: Kafka refuses it for good.
        """
        message, self._held = self._held, None
        if message is None or self._lost:
            return
        try:
            self._consumer.commit(message=message, asynchronous=False)
        except KafkaException as error:
            raise_unless_passing(error.args[0])
        self._consumer.resume(self._consumer.assignment())

    def release(self) -> None:
        """The held record is not dealt with: it comes again, to us or to another trainer."""
        message, self._held = self._held, None
        if message is None or self._lost:
            return
        self._seek(message)
        self._consumer.resume(self._consumer.assignment())

    def _poll(self, timeout: float) -> Message | None:
        message = self._consumer.poll(timeout)
        error = message.error() if message is not None else None
        if error is not None:
            raise_unless_passing(error)
            return None
        return message

    def _seek(self, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        self._consumer.seek(TopicPartition(topic, partition, offset))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._lost = True
