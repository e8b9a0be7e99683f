"""What an endpoint makes of some listings: each answer as sellers would get it, and what it costs.

It is asked by the same `EndpointArm` as live, with all of its limits, and what it costs is booked
in the same budget.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from serving.endpoint.arm import EndpointArm
from serving.errors import EndpointUnavailable
from serving.generation import GenerationRequest, GenerationResult


@dataclass(frozen=True)
class Checked:
    """One listing: its `result`, or why there is `none`, and the seconds until either was known."""

    request: GenerationRequest
    result: GenerationResult | None
    none: EndpointUnavailable | None
    seconds: float

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens read and written; a bad answer has them too."""
        if self.result is not None:
            written = self.result.logits_computed
            return self.result.tokens_computed - written, written
        assert self.none is not None
        return self.none.tokens_read, self.none.tokens_written


@dataclass(frozen=True)
class Summary:
    """All of them: counts, seconds, tokens as the endpoint counts them, and money.

    `usable` are answers that a seller would see, blank ones included; `reasons` counts the others
    by their word. Of the values `asked` for in usable answers, `legal` are filled and allowed,
    `illegal` refused by the schema. Times are of usable answers and None without one. Tokens and
    `cost` are of bad answers too; `cost` is None without prices.
    """

    listings: int
    usable: int
    reasons: dict[str, int]
    asked: int
    legal: int
    illegal: int
    p50_s: float | None
    p90_s: float | None
    tokens_read: int
    tokens_written: int
    cost: float | None


def check(arm: EndpointArm, requests: Iterable[GenerationRequest]) -> Iterator[Checked]:
    """Ask `arm` about each of `requests`, one after the other."""
    for request in requests:
        began = time.monotonic()
        try:
            result, none = arm.answer(request), None
        except EndpointUnavailable as error:
            result, none = None, error
        yield Checked(request, result, none, time.monotonic() - began)


def summarise(arm: EndpointArm, checked: Sequence[Checked]) -> Summary:
    """The figures of what `arm` was asked."""
    usable = [(one, one.result) for one in checked if one.result is not None]
    seconds = [one.seconds for one, _ in usable]
    p50, p90 = map(float, np.quantile(seconds, [0.5, 0.9])) if seconds else (None, None)
    read, written = (sum(one.tokens[side] for one in checked) for side in (0, 1))
    prices = arm.settings.million_input_tokens, arm.settings.million_output_tokens
    return Summary(
        listings=len(checked),
        usable=len(usable),
        reasons=dict(Counter(one.none.reason for one in checked if one.none is not None)),
        asked=sum(len(one.request.attributes) for one, _ in usable),
        legal=sum(len(result.values) for _, result in usable),
        illegal=sum(len(result.invalid) for _, result in usable),
        p50_s=p50,
        p90_s=p90,
        tokens_read=read,
        tokens_written=written,
        cost=None if None in prices else arm.cost(read, written),
    )
