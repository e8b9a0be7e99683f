"""Which listings are chosen: by the paper's gap, by ours, and by the baselines."""

import pytest

from schemas.category import Attribute, AttributeType
from schemas.curation import CURATIONS, Candidate, select

ATTRIBUTES = [
    Attribute(name=name, type=AttributeType.ENUM, values=("x", "y")) for name in ("a", "b", "c")
]
X, Y = ["x"], ["y"]


def candidate(
    listing_id: str, catalog: dict[str, list[str]], model: dict[str, list[str]], loss: float = 0.0
) -> Candidate:
    return Candidate(listing_id, "Lamps", ATTRIBUTES, catalog, model, loss)


LISTINGS = [
    candidate("as predicted", {"a": X, "b": X, "c": X}, {"a": X, "b": X, "c": X}, loss=0.2),
    candidate("all wrong", {"a": X, "b": X, "c": X}, {"a": Y, "b": Y, "c": Y}, loss=3.0),
    candidate("one missing", {"a": X}, {}, loss=1.0),
    candidate("other half", {"a": X, "b": X}, {"b": X, "c": X}, loss=0.5),
]


def chosen(curation: str, k: int = 4, seed: int = 0) -> list[str]:
    return [c.listing_id for c in select(LISTINGS, k, curation, seed)]


def test_gap_and_deficit_choose_only_listings_with_a_deficit() -> None:
    assert chosen("gap") == ["one missing", "other half"]
    assert chosen("deficit") == ["one missing", "other half"]


def test_edits_put_legal_but_wrong_predictions_first() -> None:
    assert chosen("edits") == ["all wrong", "one missing", "other half"]


def test_the_baselines_choose_among_all() -> None:
    assert chosen("loss", k=2) == ["all wrong", "one missing"]
    assert chosen("fullest") == ["all wrong", "as predicted", "other half", "one missing"]
    assert sorted(chosen("random")) == sorted(chosen("fullest"))


def test_ties_go_by_listing_id() -> None:
    tied = [candidate(name, {"a": X}, {}) for name in ("b", "c", "a")]
    assert [c.listing_id for c in select(tied, 2, "deficit")] == ["a", "b"]


def test_a_random_choice_depends_on_the_seed_and_not_on_the_order_of_arrival() -> None:
    many = [candidate(f"l{number}", {"a": X}, {}) for number in range(30)]
    first = select(many, 5, "random", seed=1)
    assert select(reversed(many), 5, "random", seed=1) == first
    assert select(many, 5, "random", seed=2) != first


def test_what_has_no_loss_cannot_be_ranked_by_it() -> None:
    unmeasured = Candidate("l1", "Lamps", ATTRIBUTES, {"a": X}, {})
    with pytest.raises(ValueError, match="listing_losses"):
        select([unmeasured], 1, "loss")
    assert set(CURATIONS) == {"gap", "deficit", "edits", "random", "loss", "fullest"}
