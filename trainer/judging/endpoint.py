"""An OpenAI-compatible chat endpoint as one more arm of a comparison; see `serving.endpoint`.

An answer that holds no JSON object is a blank, and is counted. An endpoint that refuses or does not
answer, after some attempts with growing pauses, ends the comparison with a sentence: a dead
endpoint must not look like a silent model.
"""

import logging
import threading
import time

from serving.endpoint.client import LONGEST_PAUSE_S, AttemptFailed, ChatClient, pause_s
from serving.endpoint.reading import Reply, as_result
from serving.generation import GenerationRequest, GenerationResult
from serving.settings import EndpointSettings
from trainer.errors import EndpointError

logger = logging.getLogger(__name__)


class Endpoint:
    """A generator that asks `settings.url`; may be used from several threads."""

    def __init__(self, settings: EndpointSettings, max_trunk_tokens: int) -> None:
        """`max_trunk_tokens` cuts product texts to about what our own model sees of them."""
        self.settings = settings
        self.name = f"endpoint {settings.model}"
        self.bad_answers = 0
        self._client = ChatClient(settings, max_trunk_tokens)
        self._lock = threading.Lock()

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """The answer to `request`.

        Raises:
            EndpointError: the endpoint refuses, or does not answer in all its attempts.
        """
        started = time.perf_counter()
        reply = self._ask(self._client.body(request))
        if reply.answer is None:
            with self._lock:
                self.bad_answers += 1
            logger.warning(
                "%s answered listing %s with no JSON object; that counts as a blank",
                self.name,
                request.listing.listing_id,
            )
        seconds = time.perf_counter() - started
        return as_result(reply, request, self.name, request.adapter_hash, seconds)

    def _ask(self, body: bytes) -> Reply:
        settings = self.settings
        for attempt in range(1, settings.attempts + 1):
            try:
                return self._client.ask(body, settings.timeout_s)
            except AttemptFailed as failure:
                if not failure.again:
                    raise EndpointError(
                        f"{settings.url} {failure}; check evaluation.endpoint and the API key in "
                        f"{settings.key_variable}"
                    ) from None
                last = failure
            if attempt < settings.attempts:
                time.sleep(min(pause_s(settings, attempt, last.after_s), LONGEST_PAUSE_S))
        raise EndpointError(
            f"{settings.url} {last}, after {settings.attempts} attempts; try again when it is up, "
            "or raise evaluation.endpoint.timeout_s"
        )
