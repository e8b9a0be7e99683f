"""The engine inside Triton's Python backend: hands over requests, sends back answers.

`execute` gives every request, with its response sender, to the engine and returns at once; each is
answered from the engine's thread when it is done, in any order (continuous batching over plain
unary gRPC). A push is checked on a thread of its own, so that requests are taken on meanwhile.

Settings come as JSON of `serving.settings.ServingSettings` in the variable LISTUNE_SERVING. An
engine that cannot start makes Triton refuse the model, with the reason in its log.
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from serving.engine.engine import Engine
from serving.errors import EngineError, EngineFailed
from serving.generation import AdapterName
from serving.settings import ServingSettings
from serving.triton.protocol import Generate, Push, decode_message, encode_answer

SETTINGS_VARIABLE = "LISTUNE_SERVING"


class TritonPythonModel:
    """What Triton calls; the names are its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the base model. Called once."""
        logging.basicConfig(level=logging.INFO)  # to Triton's log
        settings = ServingSettings.model_validate_json(os.environ.get(SETTINGS_VARIABLE, "{}"))
        self.engine = Engine(settings, settings.base_model)
        self.pushes = ThreadPoolExecutor(1, thread_name_prefix="listune-push")

    def execute(self, requests: list[Any]) -> None:
        """Take requests on. Called by one thread of Triton's; must return soon."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self.take(request, sender)
            except EngineError as error:
                answer(sender, error)
            except Exception as error:
                answer(sender, EngineFailed(f"{type(error).__name__}: {error}; see Triton's log"))

    def take(self, request: Any, sender: Any) -> None:
        """Hand one request over."""
        message = decode_message(tensor(request, "request")[0])
        if isinstance(message, Generate):
            payload = tensor(request, "payload").tobytes()
            asked = message.request(sender.is_cancelled, payload)
            self.engine.submit(asked, partial(answer, sender))
        elif isinstance(message, Push):
            payload = tensor(request, "payload").tobytes()
            self.pushes.submit(self.push, message, payload, sender)
        else:
            answer(sender, self.engine.status())

    def push(self, message: Push, payload: bytes, sender: Any) -> None:
        """Check and keep an adapter, and say what became of it."""
        try:
            self.engine.push(message.adapter_id, message.adapter_hash, payload)
            answer(sender, AdapterName(message.adapter_id, message.adapter_hash))
        except EngineError as error:
            answer(sender, error)
        except Exception as error:
            answer(sender, EngineFailed(f"{type(error).__name__}: {error}; see Triton's log"))

    def finalize(self) -> None:
        """Stop. Called once, before the process ends."""
        self.pushes.shutdown()
        self.engine.close()


def tensor(request: Any, name: str) -> np.ndarray:
    """The content of an input; empty where an optional one is not given."""
    found = pb_utils.get_input_tensor_by_name(request, name)
    return np.empty(0, np.uint8) if found is None else found.as_numpy()


def answer(sender: Any, content: Any) -> None:
    """Send the one answer to a request."""
    output = pb_utils.Tensor("response", np.array([encode_answer(content)], dtype=np.object_))
    sender.send(
        pb_utils.InferenceResponse(output_tensors=[output]),
        flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL,
    )
