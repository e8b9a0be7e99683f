"""What can go wrong around Kafka.

    ListuneError
    ├── Refused                 starting the process again cannot help
    └── StreamsError
        ├── TopicsError         no broker, or topics other than the settings ask for
        ├── RequestRefused      the SDK does not send it: unknown category or attribute, too large
        ├── DeliveryError       the broker did not confirm a record
        ├── PredictionTimeout   no answer came in time
        ├── ControlLogError     the control topics cannot be followed
        ├── LettersError        there is no dead letter of that name
        ├── WorkerHangs         a worker says that it is well and does nothing
        └── WorkerReplaced      another worker of the group works in this one's place

Every message says what to do next.
"""

import os

from schemas.errors import ListuneError

REFUSED_CODE = os.EX_CONFIG
"""The exit code of a process that ends with `Refused`; its supervisor does not start it again."""


class Refused(ListuneError):
    """A person has to decide: starting the process again changes nothing."""


class StreamsError(ListuneError):
    """The root of the errors of this room's Kafka side."""


class TopicsError(StreamsError):
    """The broker does not answer, or its topics are not those that the settings ask for."""


class RequestRefused(StreamsError):
    """The event would be answered with a failure or be refused; it was not sent."""


class DeliveryError(StreamsError):
    """The broker did not confirm a record in time."""


class PredictionTimeout(StreamsError):
    """No prediction came within the time that the caller wanted to wait."""


class ControlLogError(StreamsError):
    """`model.events` or `training.retrain` cannot be read."""


class LettersError(StreamsError):
    """No dead letter has the key that was asked for."""


class WorkerHangs(StreamsError):
    """Records wait, nobody else is to blame, and the worker does nothing."""


class WorkerReplaced(StreamsError):
    """Another worker of the group has the partitions that this one had."""
