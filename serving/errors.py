"""What can go wrong between a request and its answer.

    ListuneError
    └── ServingError
        ├── ModelRefused      the base model cannot be served exactly, or cannot be read
        ├── EngineError       the engine's own answers; `code` is their word on the wire
        │   ├── UnknownAdapter    unknown_adapter  push it and ask again
        │   ├── Busy              busy             it takes no more now; ask again later
        │   ├── Refused           bad_request      the request itself is wrong
        │   ├── AdapterError      bad_adapter      these bytes are no adapter for this base
        │   ├── Cancelled         cancelled        the asker gave up
        │   └── EngineFailed      internal         a fault of ours; this request only
        ├── Unavailable       no server answers
        ├── TimedOut          the server did not answer in time
        ├── EndpointUnavailable  somebody else's endpoint has no usable answer; `reason` says why
        ├── PictureError      a picture of a listing is not seen; the others are
        │   ├── PictureRefused      these bytes are no picture that is looked at
        │   ├── PictureUnavailable  it may not be got, or could not
        │   └── PictureMissing      it is not in the store of what was seen
        ├── CanaryFailed      a pushed adapter does not answer as it should
        └── HealthPortTaken   a process's port for health and metrics cannot be opened

Messages are one sentence that says what to do next.
"""

from typing import ClassVar

from schemas.errors import ListuneError


class ServingError(ListuneError):
    """The root of this room's errors."""


class ModelRefused(ServingError):
    """A base model that cannot be read, or whose architecture the tree cannot serve exactly."""


class EngineError(ServingError):
    """An answer of the engine that is no result."""

    code: ClassVar[str] = "internal"


class UnknownAdapter(EngineError):
    """The engine does not have the adapter that a request names; push it and ask again."""

    code = "unknown_adapter"


class Busy(EngineError):
    """The engine's queue is full, or it is closing; ask again later."""

    code = "busy"


class Refused(EngineError):
    """The request itself is wrong; asking again cannot help."""

    code = "bad_request"


class AdapterError(EngineError):
    """Bytes that are no adapter, or no adapter for this base model."""

    code = "bad_adapter"


class Cancelled(EngineError):
    """The asker gave up."""

    code = "cancelled"


class EngineFailed(EngineError):
    """A fault of the engine, which failed this request and no other."""

    code = "internal"


class Unavailable(ServingError):
    """No server answers at the address, or it has not loaded the model yet."""


class TimedOut(ServingError):
    """The server did not answer within the time given."""


class EndpointUnavailable(ServingError):
    """An OpenAI-compatible endpoint gives no usable answer, or is not asked for one.

    Attributes:
        reason: one word to count by: `down`, `slow`, `refused` (it wants another key, model or
            address), `bad_answer`, `rate_limited` (by us or by it), `budget`, `open_circuit`.
        text: of a bad answer, what it said. It is in no message, since it may repeat the product.
        tokens_read, tokens_written: of a bad answer, which costs as much as a good one.
    """

    def __init__(
        self,
        message: str,
        reason: str,
        text: str | None = None,
        tokens_read: int = 0,
        tokens_written: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.text = text
        self.tokens_read = tokens_read
        self.tokens_written = tokens_written


class PictureError(ServingError):
    """A picture of a listing is not seen."""


class PictureRefused(PictureError):
    """These bytes are no picture that is looked at: by format, size, or a fault in them."""


class PictureUnavailable(PictureError):
    """A picture may not be got from where it is said to be, or could not be."""


class PictureMissing(PictureError):
    """The store of what was seen does not have a picture, or not undamaged."""


class CanaryFailed(ServingError):
    """A pushed adapter does not answer as it should; it must not become champion."""


ENGINE_ERRORS: dict[str, type[EngineError]] = {
    kind.code: kind
    for kind in (UnknownAdapter, Busy, Refused, AdapterError, Cancelled, EngineFailed)
}
"""The class of each word on the wire."""


class HealthPortTaken(ServingError):
    """The port for health and metrics cannot be opened."""
