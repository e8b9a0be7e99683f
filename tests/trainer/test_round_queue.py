"""A round that is dealt with is committed; where that fails in passing, it comes again."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from trainer.errors import TrainingError
from trainer.round_queue import RoundQueue
from trainer.settings import KafkaSettings


class FakeConsumer:
    """A member of the group that holds one record; a commit ends with `fault`."""

    def __init__(self, fault: int) -> None:
        self._fault = fault
        self.paused = False

    def poll(self, timeout: float) -> Any:
        return FakeMessage()

    def commit(self, message: Any, asynchronous: bool) -> None:
        raise KafkaException(KafkaError(self._fault))

    def assignment(self) -> list[Any]:
        return []

    def pause(self, partitions: list[Any]) -> None:
        self.paused = True

    def resume(self, partitions: list[Any]) -> None:
        self.paused = False


class FakeMessage:
    def error(self) -> None:
        return None


def holding(fault: int) -> tuple[RoundQueue, FakeConsumer]:
    queue = RoundQueue(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    queue._consumer.close()
    consumer = FakeConsumer(fault)
    queue._consumer = consumer  # type: ignore[assignment]
    assert queue.take() is not None
    assert consumer.paused
    return queue, consumer


@pytest.mark.parametrize(
    "fault",
    [KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError._TRANSPORT],
)
def test_a_trainer_that_the_group_went_on_without_takes_the_next_round(fault: int) -> None:
    queue, consumer = holding(fault)
    queue.done()
    assert not consumer.paused


def test_a_commit_that_is_refused_for_good_ends_the_trainer() -> None:
    queue, _ = holding(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(TrainingError, match="Kafka refuses the trainer"):
        queue.done()
