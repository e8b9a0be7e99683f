"""Whether an endpoint is asked now: all its limits under one lock, so that they agree.

An attempt that `enter` lets in is booked and counted by that; `answered` or `failed` must follow.
"""

import logging
import threading
import time
from dataclasses import dataclass

from serving.endpoint.client import AttemptFailed
from serving.endpoint.limits import CircuitBreaker, TokenBucket
from serving.endpoint.spend import Budget, Spend, SpendError
from serving.errors import EndpointUnavailable
from serving.settings import LiveEndpointSettings

logger = logging.getLogger(__name__)

OPENS_THE_CIRCUIT = {"down", "slow", "refused"}


@dataclass(frozen=True)
class Booking:
    """`most` money reserved for one attempt on `day`, which is None without a budget."""

    day: str | None
    most: float


class Admission:
    """The limits of `settings`; may be used from several threads."""

    def __init__(self, settings: LiveEndpointSettings, identity: str) -> None:
        """`identity` is what messages call the endpoint."""
        self._settings = settings
        self._identity = identity
        self._bucket = TokenBucket(settings.requests_per_s)
        self._breaker = CircuitBreaker(settings.failures_to_open, settings.open_s)
        budget = Budget(settings.requests_a_day, settings.budget_a_day)
        self._spend = None if budget == Budget() else Spend(settings.spend_file, budget)
        self._hold_until = 0.0
        self._lock = threading.Lock()

    def enter(self, most: float) -> Booking:
        """Let in an attempt that costs `most` money at most.

        Raises:
            EndpointUnavailable: the endpoint is not to be asked now.
        """
        with self._lock:
            now = time.monotonic()
            self._check(now)
            # Last, since it cannot be taken back as cheaply as the others.
            booking = Booking(self._reserve(most), most)
            self._breaker.begin()
            return booking

    def answered(self, booking: Booking, money: float) -> None:
        """The attempt has brought a reply, which cost `money`."""
        self._settle(booking, money)
        with self._lock:
            if self._breaker.is_open:
                logger.info("%s is back and is asked again", self._identity)
            self._breaker.succeeded()

    def failed(self, booking: Booking, failure: AttemptFailed) -> None:
        """The attempt has brought none."""
        if not failure.billed:
            self._settle(booking, 0.0)
        with self._lock:
            now = time.monotonic()
            if failure.after_s:
                self._hold_until = max(self._hold_until, now + failure.after_s)
            if failure.reason not in OPENS_THE_CIRCUIT:
                self._breaker.succeeded()
            elif self._breaker.failed(now):
                logger.warning(
                    "%s %s; after %d failures in a row it is left alone for %g s at a time",
                    self._identity,
                    failure,
                    self._settings.failures_to_open,
                    self._settings.open_s,
                )

    def _check(self, now: float) -> None:
        if now < self._hold_until:
            raise EndpointUnavailable(
                f"{self._identity} has asked to be left alone for another "
                f"{self._hold_until - now:.0f} s; lower serving.endpoint.requests_per_s, or give "
                "that arm fewer sellers",
                "rate_limited",
            )
        if not self._breaker.admits(now):
            raise EndpointUnavailable(
                f"{self._identity} failed {self._settings.failures_to_open} times in a row and is "
                "left alone; see the log for why, it is tried again by itself",
                "open_circuit",
            )
        if not self._bucket.take(now):
            raise EndpointUnavailable(
                f"{self._identity} is asked {self._settings.requests_per_s:g} times a second at "
                "most; raise serving.endpoint.requests_per_s, or give that arm fewer sellers",
                "rate_limited",
            )

    def _reserve(self, most: float) -> str | None:
        if self._spend is None:
            return None
        try:
            day = self._spend.reserve(most)
        except SpendError as error:
            raise EndpointUnavailable(str(error), "budget") from None
        if day is None:
            raise EndpointUnavailable(
                f"{self._identity} has used up what a day may cost; wait for the next day in UTC, "
                "or raise serving.endpoint.requests_a_day or budget_a_day",
                "budget",
            )
        return day

    def _settle(self, booking: Booking, money: float) -> None:
        if self._spend is None or booking.day is None:
            return
        try:
            self._spend.settle(booking.day, booking.most, money)
        except SpendError as error:  # what was reserved stays booked, so no budget is exceeded
            logger.error("%s", error)
