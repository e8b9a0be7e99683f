"""What is seen of a request's pictures, before anybody is asked for its answer.

A live request's are got from where its listing says. With a text that may take half of the patience
that is left, since without them the text can still be answered; without one all of it. An order's
are what the live request saw, out of the store: the same pixels, whatever its URIs give by now.
"""

from collections.abc import Sequence
from typing import Protocol

from schemas.events import ListingRequest, Purpose
from schemas.markup import without_markup
from serving.pictures.looking import Looked

LOOKING_SHARE = 0.5
"""Of the time that somebody still waits, that of pictures where there is a text."""
SEES_NOTHING = Looked()


class Eyes(Protocol):
    """The part of `serving.pictures.looking.Looker` that is needed here."""

    async def look(self, uris: Sequence[str], within_s: float | None = None) -> Looked:
        """What is seen of the pictures that `uris` name."""
        ...

    async def again(self, hashes: Sequence[str]) -> Looked:
        """What was seen before."""
        ...


def has_text(*texts: str) -> bool:
    """Whether any of `texts` has more than markup and white space."""
    return any(without_markup(text).strip() for text in texts)


def named(request: ListingRequest) -> Sequence[str]:
    """The pictures to be looked at: an order's by their hashes, others' by their URIs."""
    return request.images if request.purpose is Purpose.LIVE else request.pictures


async def look(eyes: Eyes, request: ListingRequest, left_s: float | None) -> Looked:
    """What is seen of the pictures of `request`, for which `left_s` is left; None: for ever."""
    if request.purpose is not Purpose.LIVE:
        return await eyes.again(request.pictures)
    if left_s is not None and has_text(request.title, request.description):
        left_s *= LOOKING_SHARE
    return await eyes.look(request.images, left_s)
