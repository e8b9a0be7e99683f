"""Which listings are held out depends on nothing but their id and the share."""

import pytest

from schemas.events import listing_sha256
from schemas.heldout import bound, calibrates, is_held_out

IDS = [f"listing-{n}" for n in range(4000)]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_as_many_are_held_out_as_the_share_says(share: float) -> None:
    held_out = [i for i in IDS if is_held_out(i, share)]
    assert len(held_out) / len(IDS) == pytest.approx(share, abs=0.03)
    calibrating = [i for i in held_out if calibrates(i, 0.25)]
    assert len(calibrating) / len(held_out) == pytest.approx(0.25, abs=0.07)


def test_none_and_all_are_shares_too() -> None:
    assert not any(is_held_out(i, 0.0) for i in IDS)
    assert all(is_held_out(i, 1.0) for i in IDS)


def test_a_share_that_grows_only_adds() -> None:
    assert {i for i in IDS if is_held_out(i, 0.2)} < {i for i in IDS if is_held_out(i, 0.3)}


def test_the_bound_compares_as_text() -> None:
    assert all(is_held_out(i, 0.25) == (listing_sha256(i) < bound(0.25)) for i in IDS)
