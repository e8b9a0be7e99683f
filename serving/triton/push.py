"""Push an adapter to the live engine, and try it before anybody relies on it.

    bytes of the registry's file -> gRPC -> engine checks, stores -> canary -> (an event moves the
    champion alias, elsewhere)

A push changes no live adapter: requests name adapters by hash. So a failed push, or a canary that
fails, leaves everything as it was.
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from schemas.category import Attribute
from schemas.events import BASE_ADAPTER
from serving.adapter_file import AdapterFile, read_adapter
from serving.errors import AdapterError, CanaryFailed
from serving.generation import GenerationResult
from serving.listing import Listing
from serving.triton.client import TritonClient

# Of log confidence. The same weights give the same confidence to the last bit (serving.model.align
# sees to it); training moves it by far more.
LOG_TOLERANCE = 1e-4


@dataclass(frozen=True)
class CanaryRequest:
    """A listing with its pictures, and what is asked for it."""

    listing: Listing
    attributes: tuple[Attribute, ...]
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Canary:
    """What a new adapter is tried on; one of the requests must be answered unlike the base."""

    requests: tuple[CanaryRequest, ...]


@dataclass(frozen=True)
class PushReport:
    """A push that went well.

    `differing` counts the canary's answers (of `answers`) with a value or a confidence that is not
    the base's.
    """

    adapter_id: str
    adapter_hash: str
    size: int
    answers: int
    differing: int
    push_seconds: float
    canary_seconds: float


def push_and_try(
    client: TritonClient, source: Path | bytes, adapter_id: str, canary: Canary
) -> PushReport:
    """Push the adapter in `source` (a file or its bytes) and try it with `canary`.

    Raises:
        AdapterError: the file is not that adapter, or the engine refuses it.
        CanaryFailed: it answers exactly as the base does, or under another hash.
        Unavailable, TimedOut, Busy: the server; push again later.
    """
    adapter = _read(source)
    started = time.perf_counter()
    client.push(adapter.blob, adapter_id, adapter.hash)
    pushed = time.perf_counter()
    differing = answers = 0
    for request in canary.requests:
        new = _ask(client, request, adapter.hash)
        if new.adapter_hash != adapter.hash:
            raise CanaryFailed(
                f"{adapter_id} was asked for and {new.adapter_id} answered; check the engine"
            )
        old = _ask(client, request, BASE_ADAPTER)
        answers += len(request.attributes)
        differing += count_differing(new, old)
    if not differing:
        raise CanaryFailed(
            f"adapter {adapter_id} answers exactly as the base on {answers} attributes; "
            "check that its training changed any parameter"
        )
    return PushReport(
        adapter_id=adapter_id,
        adapter_hash=adapter.hash,
        size=len(adapter.blob),
        answers=answers,
        differing=differing,
        push_seconds=pushed - started,
        canary_seconds=time.perf_counter() - pushed,
    )


def ensure_adapter(client: TritonClient, adapter_hash: str, uri: str) -> None:
    """Give the engine the adapter with this hash from the registry's file `uri`.

    For an engine that came up without it and says `unknown adapter`.

    Raises:
        AdapterError: there is no such file, or it holds another adapter.
    """
    if adapter_hash == BASE_ADAPTER:
        return
    adapter = _read(_path_of(uri))
    if adapter.hash != adapter_hash:
        raise AdapterError(
            f"{uri} holds adapter {adapter.hash[:12]} where {adapter_hash[:12]} is wanted; "
            "restore the registry's file"
        )
    client.push(adapter.blob, adapter.id, adapter.hash)


def count_differing(new: GenerationResult, old: GenerationResult) -> int:
    """How many attributes have another value, or another confidence, in `new` than in `old`."""
    return sum(
        new.values.get(name) != old.values.get(name)
        or new.invalid.get(name) != old.invalid.get(name)
        or abs(_log(confidence) - _log(old.confidence[name])) > LOG_TOLERANCE
        for name, confidence in new.confidence.items()
    )


def _log(confidence: float) -> float:
    return math.log(max(confidence, sys.float_info.min))


def _ask(client: TritonClient, request: CanaryRequest, adapter_hash: str) -> GenerationResult:
    return client.generate(
        request.listing,
        request.attributes,
        adapter_hash=adapter_hash,
        pictures=request.pictures,
    )


def _read(source: Path | bytes) -> AdapterFile:
    if isinstance(source, bytes):
        return read_adapter(source)
    try:
        return read_adapter(source.read_bytes())
    except OSError as error:
        raise AdapterError(
            f"the adapter file {source} cannot be read ({error.strerror}); restore it"
        ) from None


def _path_of(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path)) if uri.startswith("file:") else Path(uri)
