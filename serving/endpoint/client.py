"""One attempt at an OpenAI-compatible chat endpoint, over plain HTTP.

The standard library does it: an attempt is one POST and one answer. httpx would bring no time-out
for an attempt as a whole either (its own are for each read), and the retries, the rate, the budget
and the circuit share one decision in `serving.endpoint.arm`, which no library of retries knows.

The API key is read from its environment variable for each attempt, goes into one header, and is
taken out of whatever an endpoint says of it. A redirect is not followed: neither the key nor the
product's text goes to anybody but the address that is set.
"""

import http.client
import json
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import IO, Any

from serving.endpoint.reading import Reply, messages, read, response_format
from serving.generation import GenerationRequest
from serving.prompt_texts import CHARACTERS_PER_TOKEN
from serving.settings import EndpointSettings

LONGEST_PAUSE_S = 30.0
LONGEST_HOLD_S = 3600.0
"""A `Retry-After` of more is not believed."""
MAX_ANSWER_BYTES = 4 << 20
CHUNK_BYTES = 1 << 16
SAID_BYTES, SAID_CHARACTERS = 1 << 16, 300
WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}


class AttemptFailed(Exception):
    """An attempt without an answer. The message is a clause, such as `answers 503: busy`.

    Attributes:
        reason: `down`, `slow`, `rate_limited` (by the endpoint) or `refused`.
        again: whether another attempt may do better.
        after_s: seconds that the endpoint asks to wait; None where it asks for none.
        billed: whether it may have worked on an answer, and so charge for it.
    """

    def __init__(
        self,
        clause: str,
        reason: str,
        again: bool = True,
        after_s: float | None = None,
        billed: bool = False,
    ) -> None:
        super().__init__(clause)
        self.reason = reason
        self.again = again
        self.after_s = after_s
        self.billed = billed


class ChatClient:
    """Asks `settings.url`; may be used from several threads."""

    def __init__(self, settings: EndpointSettings, max_trunk_tokens: int) -> None:
        """`max_trunk_tokens` cuts product texts to about what our own model sees of them."""
        self.settings = settings
        self._max_characters = max_trunk_tokens * CHARACTERS_PER_TOKEN
        self._open = urllib.request.build_opener(_NoRedirects).open

    def body(self, request: GenerationRequest) -> bytes:
        """What is sent to ask `request`."""
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": messages(request, self._max_characters),
            "temperature": 0,
            "max_tokens": self.settings.max_tokens,
        }
        wanted = response_format(self.settings.answer_format, request.attributes)
        if wanted is not None:
            body["response_format"] = wanted
        return json.dumps(body).encode()

    def ask(self, body: bytes, timeout_s: float) -> Reply:
        """The reply to `body`.

        `timeout_s` ends an attempt in which nothing comes, and one of which too little has come; an
        endpoint that stops in the middle can take twice as long.

        Raises:
            AttemptFailed: there is none.
        """
        deadline = time.monotonic() + timeout_s
        key = os.environ.get(self.settings.key_variable, "").strip()
        try:
            with self._open(self._request(body, key), timeout=timeout_s) as response:
                return read(_content(response, deadline))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error, key) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _no_answer(error, key) from None

    def _request(self, body: bytes, key: str) -> urllib.request.Request:
        request = urllib.request.Request(
            f"{self.settings.url.rstrip('/')}/chat/completions",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        if key:
            # The library's own complaint about such a header would show it.
            if not (key.isascii() and key.isprintable()):
                raise AttemptFailed(
                    f"cannot be given the key in {self.settings.key_variable}, which has "
                    "characters that no header can have",
                    "refused",
                    again=False,
                )
            request.add_unredirected_header("Authorization", f"Bearer {key}")
        return request


def pause_s(
    settings: EndpointSettings,
    attempt: int,
    after_s: float | None,
    chance: Callable[[], float] = random.random,
) -> float:
    """Seconds between attempt number `attempt` (from 1) and the next one.

    Twice as long each time, half of it by chance, so that those who failed together do not come
    back together; and never less than the endpoint asks for.
    """
    grown = min(settings.pause_s * 2.0 ** (attempt - 1), LONGEST_PAUSE_S)
    return max(grown * (0.5 + 0.5 * chance()), after_s or 0.0)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the refusal that it is here."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _content(response: Any, deadline: float) -> bytes:
    """The body, up to `MAX_ANSWER_BYTES` of it."""
    chunks, size = [], 0
    while size <= MAX_ANSWER_BYTES and (chunk := response.read1(CHUNK_BYTES)):
        chunks.append(chunk)
        size += len(chunk)
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    if size <= MAX_ANSWER_BYTES and response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(chunks)


def _refusal(error: urllib.error.HTTPError, key: str) -> AttemptFailed:
    code = error.code
    if 300 <= code < 400:
        host = (
            urllib.parse.urlsplit(error.headers.get("Location") or "").netloc or "another address"
        )
        return AttemptFailed(
            _without(key, f"redirects to {host}, which is not followed"), "refused", again=False
        )
    # Shortened only afterwards: half of a key is no key to be found.
    said = _without(key, f"answers {code}: {_said(error) or error.reason}")[:SAID_CHARACTERS]
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        reason = "rate_limited"
    elif code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT):
        reason = "slow"
    else:
        reason = "down" if code in WORTH_ANOTHER_TRY or code >= 500 else "refused"
    after_s = _after_s(error.headers.get("Retry-After"))
    return AttemptFailed(said, reason, again=code in WORTH_ANOTHER_TRY, after_s=after_s)


def _no_answer(error: Exception, key: str) -> AttemptFailed:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    connected = not isinstance(error, urllib.error.URLError)
    if isinstance(cause, TimeoutError):
        clause, reason = "does not answer in time", "slow"
    else:
        clause = f"does not answer ({str(cause) or type(cause).__name__})"
        reason = "down"
    # What fails before or while it is sent comes wrapped; afterwards somebody may be at work on it.
    return AttemptFailed(_without(key, clause), reason, billed=connected)


def _after_s(header: str | None) -> float | None:
    """The seconds that a `Retry-After` asks for, given in seconds or as a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_HOLD_S) if seconds == seconds else None


def _said(body: IO[bytes]) -> str:
    try:
        return " ".join(body.read(SAID_BYTES).decode(errors="replace").split())
    except (OSError, http.client.HTTPException):
        return ""


def _without(key: str, text: str) -> str:
    """`text` without the key, which some endpoints repeat."""
    for form in (key, urllib.parse.quote(key, safe=""), json.dumps(key)[1:-1]):
        if form:
            text = text.replace(form, "[key]")
    return text
