"""An OpenAI-compatible endpoint that answers sellers who wait.

A request gets an answer, or `EndpointUnavailable` with a reason by which whoever asks falls back;
never later than its patience, and never a guess. In this order:

1. The endpoint is left alone while it has asked for that (`Retry-After`), while the circuit is
   open, where the rate is used up, and where the day's budget is (`serving.endpoint.admission`).
2. An attempt has `timeout_s`. It runs in a thread of its own, which alone may hang on in a name
   server or at an endpoint that drips: the request does not wait for it, but its place stays taken.
3. A failed attempt is tried again after a pause, if that pause ends before the patience does.
4. What is no whole JSON object is a bad answer. It is not tried again: at temperature 0 the same
   would come, and it would be paid for twice.

Attempts that fail (`down`, `slow`, `refused`) open the circuit. A bad answer does not, nor does an
endpoint that says it is busy: both are there.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from serving.endpoint.admission import Admission
from serving.endpoint.client import AttemptFailed, ChatClient, pause_s
from serving.endpoint.reading import Reply, as_result
from serving.errors import EndpointUnavailable
from serving.generation import GenerationRequest, GenerationResult
from serving.settings import LiveEndpointSettings

logger = logging.getLogger(__name__)

MILLION = 1_000_000
SHORTEST_S = 0.001


class EndpointArm:
    """Answers with `settings.model` at `settings.url`; may be used from several threads."""

    def __init__(
        self,
        settings: LiveEndpointSettings,
        max_trunk_tokens: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`max_trunk_tokens` cuts product texts to about what our own model sees of them."""
        self.settings = settings
        self.identity = f"endpoint:{settings.model}"
        self._client = ChatClient(settings, max_trunk_tokens)
        self._admission = Admission(settings, self.identity)
        self._sleep = sleep
        self._places = threading.BoundedSemaphore(settings.in_flight)
        self._threads = ThreadPoolExecutor(settings.in_flight, thread_name_prefix="endpoint-call")

    def answer(
        self, request: GenerationRequest, timeout_s: float | None = None
    ) -> GenerationResult:
        """The answer to `request`, of which `timeout_s` is the patience that is left.

        Adapter id and hash are `endpoint:` and the model. `tokens_computed` are the tokens read and
        written, `logits_computed` those written, as the endpoint counts them.

        Raises:
            EndpointUnavailable: there is no usable answer.
        """
        started = time.monotonic()
        patience_s = self.settings.patience_s
        if timeout_s is not None:
            patience_s = min(patience_s, timeout_s)
        reply = self._ask(self._client.body(request), started + patience_s)
        if reply.answer is None:
            raise self._bad(reply)
        seconds = time.monotonic() - started
        return as_result(reply, request, self.identity, self.identity, seconds)

    def cost(self, tokens_read: int, tokens_written: int) -> float:
        """What so many tokens cost, in the currency of the prices; what has none costs nothing."""
        read, written = self.settings.million_input_tokens, self.settings.million_output_tokens
        return (tokens_read * (read or 0.0) + tokens_written * (written or 0.0)) / MILLION

    def _ask(self, body: bytes, deadline: float) -> Reply:
        """The reply, after as many attempts as settings and patience allow."""
        failed: EndpointUnavailable | None = None
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return self._attempt(body, deadline)
            except AttemptFailed as failure:
                failed = self._unavailable(failure, attempt)
                pause = pause_s(self.settings, attempt, failure.after_s)
                last = attempt == self.settings.attempts or not failure.again
                if last or time.monotonic() + pause >= deadline:
                    raise failed from None
            except EndpointUnavailable as refused:
                # Of a request that was tried, what went wrong says more than what now forbids it.
                raise failed or refused from None
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, body: bytes, deadline: float) -> Reply:
        """One attempt, admitted, in time, and booked."""
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not self._places.acquire(timeout=left_s):
            raise EndpointUnavailable(
                f"no time was left to ask {self.identity}, at which "
                f"{self.settings.in_flight} requests may be under way at once; raise "
                "serving.endpoint.in_flight, or give that arm fewer sellers",
                "slow",
            )
        try:
            # A token is at least one byte, so that no prompt has more of them.
            most = self.cost(len(body), self.settings.max_tokens)
            booking = self._admission.enter(most)
        except BaseException:
            self._places.release()
            raise
        timeout_s = max(min(self.settings.timeout_s, deadline - time.monotonic()), SHORTEST_S)
        running = self._threads.submit(self._client.ask, body, timeout_s)
        running.add_done_callback(lambda _: self._places.release())
        try:
            reply = _result(running, timeout_s)
        except AttemptFailed as failure:
            self._admission.failed(booking, failure)
            raise
        self._admission.answered(booking, self._price(reply, most))
        return reply

    def _price(self, reply: Reply, most: float) -> float:
        """What `reply` has cost; as much as it may have where the endpoint does not count."""
        if reply.tokens_read is None or reply.tokens_written is None:
            return most
        return self.cost(reply.tokens_read, reply.tokens_written)

    def _unavailable(self, failure: AttemptFailed, attempts: int) -> EndpointUnavailable:
        todo = {
            "refused": "check serving.endpoint and the API key in " + self.settings.key_variable,
            "rate_limited": "lower serving.endpoint.requests_per_s, or give that arm fewer sellers",
            "slow": "raise serving.endpoint.timeout_s and patience_s if sellers may wait longer",
        }.get(failure.reason, "see whether it is up")
        tries = f"after {attempts} attempt{'s' * (attempts > 1)}"
        message = f"{self.settings.url} {failure}, {tries}; {todo}"
        return EndpointUnavailable(message, failure.reason)

    def _bad(self, reply: Reply) -> EndpointUnavailable:
        if reply.text is None:
            what = "sent no chat answer; check that serving.endpoint.url is right"
        elif reply.cut:
            what = "did not finish its answer; raise serving.endpoint.max_tokens"
        else:
            what = (
                "answered without a whole JSON object; set serving.endpoint.answer_format, or take "
                "another model"
            )
        tokens = reply.tokens_read or 0, reply.tokens_written or 0
        return EndpointUnavailable(f"{self.identity} {what}", "bad_answer", reply.text, *tokens)


def _result(running: "Future[Reply]", timeout_s: float) -> Reply:
    """What `running` brings within `timeout_s`. Raises AttemptFailed where it brings nothing."""
    try:
        return running.result(timeout_s)
    except AttemptFailed:
        raise
    except TimeoutError:
        raise AttemptFailed("does not answer in time", "slow", billed=True) from None
    except (
        Exception
    ) as error:  # a fault of ours: the seller gets the champion's answer all the same
        logger.exception("a fault in asking an endpoint")
        clause = f"cannot be asked ({type(error).__name__})"
        raise AttemptFailed(clause, "down", again=False, billed=True) from None
