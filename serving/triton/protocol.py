"""The JSON that travels between `serving.triton.client` and the Triton model; it knows neither.

    {"op": "generate", "listing": {...}, "attributes": [...], "mode", "batches", "adapter_hash",
     "example", "pictures": [bytes of each]}, with these bytes, one after the other, beside it
    {"op": "push", "adapter_id", "adapter_hash"}, with the adapter's bytes beside it
    {"op": "status"}

Answers are `{"ok": true, ...}`, or `{"ok": false, "error": word, "message": one sentence}` with the
words of `serving.errors`.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic_core import from_json, to_json

from schemas.category import Attribute
from schemas.events import BASE_ADAPTER, Mode
from serving.errors import ENGINE_ERRORS, EngineError, EngineFailed, Refused
from serving.generation import GenerationRequest, GenerationResult
from serving.listing import Listing
from serving.pictures.picture import MAX_BYTES, MOST_PICTURES
from serving.prompt import Example

_KNOWN = 256
"""Tuples of attributes kept on either side: a caller has one for each category."""
_ATTRIBUTES = TypeAdapter(tuple[Attribute, ...])


@lru_cache(maxsize=_KNOWN)
def _attributes(text: bytes) -> tuple[Attribute, ...]:
    return _ATTRIBUTES.validate_json(text)


def _known_attributes(given: Any, _: Any) -> tuple[Attribute, ...]:
    """The same attributes for all listings of a category: what is made of one, its question and
    how its values are read, is kept by the attribute."""
    return _attributes(to_json(given))


class Generate(BaseModel):
    """Fill these attributes of this listing."""

    op: Literal["generate"] = "generate"
    listing: Listing
    attributes: Annotated[tuple[Attribute, ...], WrapValidator(_known_attributes)]
    mode: Mode | None = None
    batches: int | None = Field(None, ge=0)
    adapter_hash: str = BASE_ADAPTER
    example: Example | None = None
    # Any number of any length would keep the engine's only preparing thread from everybody else.
    pictures: tuple[Annotated[int, Field(ge=1, le=MAX_BYTES)], ...] = Field(
        (), max_length=MOST_PICTURES
    )

    def request(
        self, cancelled: Callable[[], bool] | None = None, payload: bytes = b""
    ) -> GenerationRequest:
        """The same, as the engine takes it; `payload` is what travelled beside it.

        Raises:
            Refused: the payload has not the length of the pictures.
        """
        if sum(self.pictures) != len(payload):
            raise Refused(
                f"the pictures have {sum(self.pictures)} bytes by the request and {len(payload)} "
                "beside it; send them one after the other as `payload`"
            )
        ends = list(accumulate(self.pictures, initial=0))
        return GenerationRequest(
            listing=self.listing,
            attributes=self.attributes,
            mode=self.mode,
            batches=self.batches,
            adapter_hash=self.adapter_hash,
            example=self.example,
            pictures=tuple(payload[start:end] for start, end in pairwise(ends)),
            cancelled=cancelled,
        )


class Push(BaseModel):
    """Take up the adapter whose bytes travel beside this."""

    op: Literal["push"] = "push"
    adapter_id: str = Field(min_length=1, max_length=200)
    adapter_hash: str = Field(pattern="^[0-9a-f]{64}$")


class Status(BaseModel):
    """Say what you are made of."""

    op: Literal["status"] = "status"


Message = Generate | Push | Status

_known: dict[int, tuple[tuple[Attribute, ...], bytes]] = {}
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="op")])


def encode_request(request: GenerationRequest) -> bytes:
    """`request` as a `Generate` message; its pictures travel beside it.

    It is not validated here, since the engine does that. The attributes are most of it, and the
    same for many listings: their JSON is made once for each tuple of them, and says only what
    differs from the defaults.
    """
    rest = {
        "mode": request.mode,
        "batches": request.batches,
        "adapter_hash": request.adapter_hash,
        "example": request.example,
        "pictures": [len(picture) for picture in request.pictures],
    }
    return b'{"op":"generate","listing":%b,"attributes":%b,%b' % (
        to_json(request.listing),
        _attributes_json(request.attributes),
        to_json(rest)[1:],
    )


def _attributes_json(attributes: tuple[Attribute, ...]) -> bytes:
    # By identity, since a hash of 50 attributes takes as long as their JSON. What is kept here is
    # not freed, so that no other tuple gets its id meanwhile.
    known = _known.get(id(attributes))
    if known is None:
        if len(_known) >= _KNOWN:
            _known.clear()
        said = _ATTRIBUTES.dump_json(attributes, exclude_defaults=True)
        known = _known[id(attributes)] = attributes, said
    return known[1]


def decode_message(text: bytes) -> Message:
    """The message in `text`.

    Raises:
        Refused: it is none.
    """
    try:
        return _MESSAGE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise Refused(
            f"{where}: {first['msg']}; see serving/triton/protocol.py for the format"
        ) from None


def encode_answer(answer: Any) -> bytes:
    """The bytes of a dataclass, or of an engine error, as an answer."""
    if isinstance(answer, EngineError):
        return json.dumps({"ok": False, "error": answer.code, "message": str(answer)}).encode()
    return b'{"ok":true,%b' % to_json(answer)[1:]


def decode_answer(text: bytes) -> dict[str, Any]:
    """The content of an answer that is well.

    Raises:
        EngineError: the one that the answer tells of.
    """
    answer: dict[str, Any] = from_json(text)
    if answer.pop("ok"):
        return answer
    raise ENGINE_ERRORS.get(answer["error"], EngineFailed)(answer["message"])


def decode_result(text: bytes) -> GenerationResult:
    """The result in the answer to a generate message; raises as `decode_answer`."""
    content = decode_answer(text)
    for name in ("cut", "notes"):
        content[name] = tuple(content.get(name, ()))
    return GenerationResult(**content)
