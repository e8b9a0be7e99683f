"""The client of the Triton model: typed calls, typed errors, usable from several threads.

Every call raises the errors of `serving.errors`: the engine's own answers, `Unavailable` where no
server with the model answers, `TimedOut` where it takes too long (the engine then drops the work).
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from schemas.category import Attribute
from schemas.events import BASE_ADAPTER, Mode
from serving.errors import Cancelled, Refused, ServingError, TimedOut, Unavailable
from serving.generation import AdapterName, EngineStatus, GenerationRequest, GenerationResult
from serving.listing import Listing
from serving.prompt import Example
from serving.settings import ServingSettings
from serving.triton.protocol import Push, Status, decode_answer, decode_result, encode_request

LENGTH_BYTES = 4
"""Before each element of a BYTES tensor stands its length."""
GAVE_UP = "whoever asked gave up; ask again where it is wanted"
CHANNEL_ARGUMENTS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # By default a channel waits up to two minutes before it looks for a restarted server again.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
MANY_AT_ONCE = [*CHANNEL_ARGUMENTS, ("grpc.enable_retries", 0)]
"""Without gRPC's own retries, which cost each call: who asks for many asks again by himself."""


class TritonClient:
    """Talks to the model `settings.model_name` at `settings.triton_url`.

    All methods but `ask` may be called from several threads.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._settings = settings
        self._channel = grpc.insecure_channel(settings.triton_url, options=CHANNEL_ARGUMENTS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._async_channel: Any = None
        self._async_stub: Any = None

    def __enter__(self) -> "TritonClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

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
        request = GenerationRequest(
            listing, tuple(attributes), mode, batches, adapter_hash, example, tuple(pictures)
        )
        return decode_result(self._call(*_generate(request), timeout_s, give_up))

    async def ask(
        self,
        request: GenerationRequest,
        timeout_s: float | None = None,
        give_up: Future[None] | None = None,
    ) -> GenerationResult:
        """As `generate`, for many at once in one event loop, always the same; takes no thread.

        The request's `cancelled` is not asked.
        """
        if self._async_channel is None:  # it belongs to the loop that it is made in
            self._async_channel = grpc.aio.insecure_channel(
                self._settings.triton_url, options=MANY_AT_ONCE
            )
            self._async_stub = service_pb2_grpc.GRPCInferenceServiceStub(self._async_channel)
        _check_wanted(give_up)
        timeout = self._settings.timeout_s if timeout_s is None else timeout_s
        call = self._async_stub.ModelInfer(self._message(*_generate(request)), timeout=timeout)
        if give_up is not None:
            loop = asyncio.get_running_loop()
            give_up.add_done_callback(lambda _: loop.call_soon_threadsafe(call.cancel))
        try:
            return decode_result(_content(await call))
        except grpc.RpcError as error:
            raise self._typed(error, timeout, give_up) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if give_up is None or not give_up.done() or (task is not None and task.cancelling()):
                raise
            raise Cancelled(GAVE_UP) from None

    def push(self, blob: bytes, adapter_id: str, adapter_hash: str) -> None:
        """Send an adapter's bytes to the live engine. The same one again changes nothing.

        Raises:
            AdapterError: the engine refuses it, and everything stays as it was.
        """
        message = Push(adapter_id=adapter_id, adapter_hash=adapter_hash)
        decode_answer(self._call(message.model_dump_json().encode(), blob))

    def status(self) -> EngineStatus:
        """What the engine is made of and how busy it is."""
        answer = decode_answer(self._call(Status().model_dump_json().encode()))
        adapters = tuple(AdapterName(**entry) for entry in answer.pop("adapters"))
        return EngineStatus(adapters=adapters, **answer)

    def _call(
        self,
        content: bytes,
        payload: bytes | None = None,
        timeout_s: float | None = None,
        give_up: Future[None] | None = None,
    ) -> bytes:
        _check_wanted(give_up)
        timeout = self._settings.timeout_s if timeout_s is None else timeout_s
        try:
            call = self._stub.ModelInfer.future(self._message(content, payload), timeout=timeout)
            if give_up is not None:
                give_up.add_done_callback(lambda _: call.cancel())  # at once, where it is done
            return _content(call.result())
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            raise self._typed(error, timeout, give_up) from None
        except ValueError as error:
            raise Unavailable(f"this client is closed; make a new one ({error})") from None

    def _message(self, content: bytes, payload: bytes | None) -> Any:
        """As KServe's protocol has it: tensors by their names, their content beside them."""
        tensor = service_pb2.ModelInferRequest.InferInputTensor
        inputs = [tensor(name="request", datatype="BYTES", shape=[1])]
        contents = [len(content).to_bytes(LENGTH_BYTES, "little") + content]
        if payload is not None:
            inputs.append(tensor(name="payload", datatype="UINT8", shape=[len(payload)]))
            contents.append(payload)
        return service_pb2.ModelInferRequest(
            model_name=self._settings.model_name, inputs=inputs, raw_input_contents=contents
        )

    def _typed(self, error: Any, timeout: float, give_up: Future[None] | None) -> ServingError:
        if give_up is not None and give_up.done():
            return Cancelled(GAVE_UP)
        cancelled = isinstance(error, grpc.FutureCancelledError)
        match grpc.StatusCode.CANCELLED if cancelled else error.code():
            case grpc.StatusCode.DEADLINE_EXCEEDED | grpc.StatusCode.CANCELLED:
                return TimedOut(f"Triton gave no answer within {timeout:g} s; ask again later")
            case grpc.StatusCode.INVALID_ARGUMENT:
                return Refused(f"Triton refuses the request: {error.details()}")
        url, why = self._settings.triton_url, error.details()
        return Unavailable(f"Triton at {url} does not answer ({why}); see its log")


def _generate(request: GenerationRequest) -> tuple[bytes, bytes | None]:
    """The message, and what travels beside it."""
    return encode_request(request), b"".join(request.pictures) or None


def _content(response: Any) -> bytes:
    return bytes(response.raw_output_contents[0][LENGTH_BYTES:])


def _check_wanted(give_up: Future[None] | None) -> None:
    """Raises Cancelled where nobody wants the answer any more: the engine might be quicker than the
    cancelling."""
    if give_up is not None and give_up.done():
        raise Cancelled(GAVE_UP)
