"""An OpenAI-compatible chat endpoint as one more arm of a comparison, over plain HTTP.

It is asked for one JSON object a listing, from attribute name to value, which is read as leniently
as our own model's answers. An answer that holds no such object is a blank, and is counted. An
endpoint that refuses or does not answer, after some attempts with growing pauses, ends the
comparison with a sentence: a dead endpoint must not look like a silent model.
"""

import http.client
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from schemas.category import Attribute
from schemas.events import ValueLists
from schemas.values import NO, SEPARATOR, YES, is_valid, parse_answer
from serving.examples import attribute_lines
from serving.generation import GenerationRequest, GenerationResult
from serving.prompt import CHARACTERS_PER_TOKEN, trunk_text
from trainer.errors import EndpointError
from trainer.settings import EndpointSettings

logger = logging.getLogger(__name__)

INSTRUCTION = (
    "You fill in the attributes of a product from its text. Answer with one JSON object and "
    "nothing else: each attribute's name and its value, null where it cannot be told. Where "
    "allowed values stand in parentheses, use one of them exactly as written."
)
MAX_PAUSE_S = 30.0
MAX_ANSWER_BYTES = 4 << 20
MAX_INVALID_CHARACTERS = 200
WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}


class Endpoint:
    """A generator that asks `settings.url`; may be used from several threads.

    In its results `tokens_computed` are the tokens read and written, `logits_computed` those
    written, as the endpoint counts them, and there is no confidence.
    """

    def __init__(self, settings: EndpointSettings, max_trunk_tokens: int) -> None:
        """`max_trunk_tokens` cuts product texts to about what our own model sees of them."""
        self.settings = settings
        self.name = f"endpoint {settings.model}"
        self.bad_answers = 0
        self._max_characters = max_trunk_tokens * CHARACTERS_PER_TOKEN
        self._lock = threading.Lock()

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """The answer to `request`.

        Raises:
            EndpointError: the endpoint refuses, or does not answer in all its attempts.
        """
        started = time.perf_counter()
        reply = self._ask(self._body(request))
        answer = _answer(reply)
        if answer is None:
            with self._lock:
                self.bad_answers += 1
            logger.warning(
                "%s answered listing %s with no JSON object; that counts as a blank",
                self.name,
                request.listing.listing_id,
            )
        values: ValueLists = {}
        invalid = {}
        for attribute in request.attributes:
            given = _values(attribute, (answer or {}).get(attribute.name))
            if is_valid(attribute, given):
                values[attribute.name] = given
            elif given:
                invalid[attribute.name] = SEPARATOR.join(given)[:MAX_INVALID_CHARACTERS]
        usage = reply.get("usage") if isinstance(reply, dict) else None
        read, written = (_count(usage, name) for name in ("prompt_tokens", "completion_tokens"))
        return GenerationResult(
            values=values,
            invalid=invalid,
            confidence={},
            adapter_id=self.name,
            adapter_hash=request.adapter_hash,
            batches=1,
            forward_passes=0,
            tokens_computed=read + written,
            logits_computed=written,
            seconds=time.perf_counter() - started,
        )

    def _body(self, request: GenerationRequest) -> bytes:
        asked = "\n".join(f"- {line}" for line in attribute_lines(request.attributes))
        product = trunk_text(request.listing, self._max_characters)
        body = {
            "model": self.settings.model,
            "messages": [
                {"role": "system", "content": INSTRUCTION},
                {"role": "user", "content": f"{product}\n\nAttributes:\n{asked}"},
            ],
            "temperature": 0,
            "max_tokens": self.settings.max_tokens,
        }
        return json.dumps(body).encode()

    def _ask(self, body: bytes) -> Any:
        """The endpoint's reply as JSON, or None where it is none."""
        attempts = self.settings.attempts
        for attempt in range(1, attempts + 1):
            after = None
            try:
                with urllib.request.urlopen(
                    self._request(body), timeout=self.settings.timeout_s
                ) as response:
                    return _json(response.read(MAX_ANSWER_BYTES))
            except urllib.error.HTTPError as error:
                with error:
                    reason = f"answers {error.code}: {_start(error)}"
                if error.code not in WORTH_ANOTHER_TRY:
                    raise EndpointError(
                        f"{self.settings.url} {reason}; check evaluation.endpoint and the API key "
                        f"in {self.settings.key_variable}"
                    ) from None
                after = error.headers.get("Retry-After")
            except (OSError, http.client.HTTPException) as error:
                reason = f"does not answer ({error or type(error).__name__})"
            if attempt < attempts:
                time.sleep(self._pause(attempt, after))
        raise EndpointError(
            f"{self.settings.url} {reason}, after {attempts} attempts; try again when it is up, or "
            "raise evaluation.endpoint.timeout_s"
        )

    def _request(self, body: bytes) -> urllib.request.Request:
        request = urllib.request.Request(
            f"{self.settings.url.rstrip('/')}/chat/completions",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        key = os.environ.get(self.settings.key_variable)
        if key:
            # A redirect to another host must not take the key along.
            request.add_unredirected_header("Authorization", f"Bearer {key}")
        return request

    def _pause(self, attempt: int, after: str | None) -> float:
        """Seconds before the next attempt: what the endpoint asks for, else twice as long."""
        wanted = self.settings.pause_s * 2.0 ** (attempt - 1)
        if after is not None and after.isdigit():
            wanted = max(wanted, float(after))
        return min(wanted, MAX_PAUSE_S)


def _answer(reply: Any) -> Mapping[str, Any] | None:
    """The JSON object in the reply's text, also one in a code fence or after thoughts."""
    try:
        text = reply["choices"][0]["message"]["content"].rpartition("</think>")[2]
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    found = _json(text[text.find("{") : text.rfind("}") + 1])
    return found if isinstance(found, dict) else None


def _values(attribute: Attribute, given: Any) -> list[str]:
    parts = given if isinstance(given, list) else [given]
    return parse_answer(attribute, SEPARATOR.join(filter(None, map(_line, parts))))


def _line(given: Any) -> str:
    if isinstance(given, bool):
        return YES if given else NO
    if not isinstance(given, str | int | float):
        return ""
    # JSON can have half of a character, which no event can.
    return str(given).encode("utf-8", "replace").decode()


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _count(usage: Any, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0


def _start(error: urllib.error.HTTPError) -> str:
    try:
        return " ".join(error.read(300).decode(errors="replace").split()) or str(error.reason)
    except (OSError, http.client.HTTPException):
        return str(error.reason)
