"""The client of the Triton model: typed calls, typed errors, usable from several threads.

Every call raises the errors of `serving.errors`: the engine's own answers, `Unavailable` where no
server with the model answers, `TimedOut` where it takes too long (the engine then drops the work).
"""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from schemas.category import Attribute
from schemas.events import BASE_ADAPTER, Mode
from serving.errors import Cancelled, Refused, ServingError, TimedOut, Unavailable
from serving.generation import AdapterName, EngineStatus, GenerationResult
from serving.listing import Listing
from serving.prompt import Example
from serving.settings import ServingSettings
from serving.triton.protocol import Generate, Message, Push, Status, decode_answer, decode_result

READY_TIMEOUT_S = 5.0
GAVE_UP = "whoever asked gave up; ask again where it is wanted"
CHANNEL_ARGUMENTS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # By default a channel waits up to two minutes before it looks for a restarted server again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class TritonClient:
    """Talks to the model `settings.model_name` at `settings.triton_url`.

    All methods may be called from several threads: tritonclient's gRPC client is thread-safe but
    for streams, which are not used here.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._client = grpc.InferenceServerClient(
            settings.triton_url, channel_args=CHANNEL_ARGUMENTS
        )

    def __enter__(self) -> "TritonClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def is_ready(self) -> bool:
        """Whether the server is up and has loaded the model."""
        try:
            return self._client.is_model_ready(
                self._settings.model_name, client_timeout=READY_TIMEOUT_S
            )
        except InferenceServerException:
            return False

    def generate(
        self,
        listing: Listing,
        attributes: Sequence[Attribute],
        mode: Mode | None = None,
        batches: int | None = None,
        adapter_hash: str = BASE_ADAPTER,
        timeout_s: float | None = None,
        example: Example | None = None,
        give_up: Future[None] | None = None,
        pictures: Sequence[bytes] = (),
    ) -> GenerationResult:
        """Fill `attributes` of `listing` with the adapter named, shown `example` before it.

        Args:
            give_up: once it is done nobody wants the answer any more, and the engine drops the work
                before its next forward pass.
            pictures: small JPEGs (`serving.pictures.picture`), in the listing's order.

        Raises:
            Cancelled: `give_up` was done before the answer.
            UnknownAdapter: push the adapter (`serving.triton.push.ensure_adapter`) and ask again.
            Busy, Unavailable, TimedOut: ask again later.
            Refused: the request is wrong.
        """
        if (
            give_up is not None and give_up.done()
        ):  # the engine might be quicker than the cancelling
            raise Cancelled(GAVE_UP)
        message = Generate(
            listing=listing,
            attributes=tuple(attributes),
            mode=mode,
            batches=batches,
            adapter_hash=adapter_hash,
            example=example,
            pictures=tuple(len(picture) for picture in pictures),
        )
        payload = b"".join(pictures) or None
        return decode_result(self._call(message, payload, timeout_s, give_up))

    def push(self, blob: bytes, adapter_id: str, adapter_hash: str) -> None:
        """Send an adapter's bytes to the live engine. The same one again changes nothing.

        Raises:
            AdapterError: the engine refuses it, and everything stays as it was.
        """
        message = Push(adapter_id=adapter_id, adapter_hash=adapter_hash)
        decode_answer(self._call(message, payload=blob))

    def status(self) -> EngineStatus:
        """What the engine is made of and how busy it is."""
        answer = decode_answer(self._call(Status()))
        adapters = tuple(AdapterName(**entry) for entry in answer.pop("adapters"))
        return EngineStatus(adapters=adapters, **answer)

    def _call(
        self,
        message: Message,
        payload: bytes | None = None,
        timeout_s: float | None = None,
        give_up: Future[None] | None = None,
    ) -> bytes:
        request = grpc.InferInput("request", [1], "BYTES")
        request.set_data_from_numpy(np.array([message.model_dump_json().encode()], dtype=object))
        inputs = [request]
        if payload is not None:
            content = grpc.InferInput("payload", [len(payload)], "UINT8")
            content.set_data_from_numpy(np.frombuffer(payload, dtype=np.uint8))
            inputs.append(content)
        timeout = self._settings.timeout_s if timeout_s is None else timeout_s
        try:
            result = self._infer(inputs, timeout, give_up)
        except InferenceServerException as error:
            if give_up is not None and give_up.done():
                raise Cancelled(GAVE_UP) from None
            raise self._typed(error, timeout) from None
        return bytes(result.as_numpy("response")[0])

    def _infer(
        self, inputs: list[grpc.InferInput], timeout: float, give_up: Future[None] | None
    ) -> Any:
        name = self._settings.model_name
        if give_up is None:
            return self._client.infer(name, inputs, client_timeout=timeout)
        outcome: Future[Any] = Future()

        def take(result: Any, error: InferenceServerException | None) -> None:
            if error is None:
                outcome.set_result(result)
            else:
                outcome.set_exception(error)

        call = self._client.async_infer(name, inputs, take, client_timeout=timeout)
        give_up.add_done_callback(lambda _: call.cancel())  # at once, where it is done by now
        return outcome.result()

    def _typed(self, error: Any, timeout: float) -> ServingError:
        status, message = str(error.status()), str(error.message())
        if "DEADLINE_EXCEEDED" in status or "CANCELLED" in status:
            return TimedOut(f"Triton gave no answer within {timeout:g} s; ask again later")
        if "INVALID_ARGUMENT" in status:
            return Refused(f"Triton refuses the request: {message}")
        return Unavailable(
            f"Triton at {self._settings.triton_url} does not answer ({message}); see its log"
        )
