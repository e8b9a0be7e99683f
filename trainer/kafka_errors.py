"""Which of Kafka's errors pass by themselves, and which end the trainer."""

import logging

from confluent_kafka import KafkaError

from trainer.errors import TrainingError

logger = logging.getLogger(__name__)

# What a client recovers from by itself once the broker is back.
PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
    }
)


def raise_unless_passing(error: KafkaError) -> None:
    """Log an error that passes.

    Raises:
        TrainingError: it does not.
    """
    if error.code() in PASSING or error.retriable():
        logger.warning("Kafka: %s", error.str())
        return
    raise TrainingError(f"Kafka refuses the trainer ({error.str()}); mend it and start again")
