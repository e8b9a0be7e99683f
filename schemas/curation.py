"""Which listings are trained on: equation (3) and what it is compared with, as pure scores.

- `gap`: the paper's; `deficit`, `edits`: ours. What each means is in `schemas.completeness`.
- `random`, `loss`, `fullest` are baselines, for the experiment only: without them a gain could come
  from any listings, from the hardest ones, or simply from those that carry the most labels.

The first three rank over all attributes of the category: a score counts as much of itself as was
asked for (`asked_share`), so that one attribute asked for and missed is not more than thirty of
fifty. Where all are asked for, as in the paper, the ranking is by the score itself.

The pool makes the same choice in SQL, where its listings are (`streams.pool.deciding.selection`); a
test holds the two together.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.category import Attribute
from schemas.completeness import deficit, edits, gap, valid_names
from schemas.conditions import applying
from schemas.values import Values

Selection = Literal["gap", "deficit", "edits"]
"""The curations that a live pool can rank by."""


@dataclass(frozen=True)
class Candidate:
    """A listing that could be trained on."""

    listing_id: str
    category: str
    attributes: Sequence[Attribute]
    catalog: Values  # what the seller submitted
    model: Values  # what the current model predicted
    loss: float | None = None  # nats a label token under the current model; for `loss` only
    asked_share: float = 1.0  # of the category's attributes, how many `attributes` are


Score = Callable[[Candidate, int], float]
"""Of a candidate, under a seed; the larger, the sooner it is chosen."""


def _gap(candidate: Candidate, seed: int) -> float:
    return gap(candidate.attributes, candidate.catalog, candidate.model)


def _deficit(candidate: Candidate, seed: int) -> float:
    return deficit(candidate.attributes, candidate.catalog, candidate.model)


def _edits(candidate: Candidate, seed: int) -> float:
    return edits(candidate.attributes, candidate.catalog, candidate.model)


def _random(candidate: Candidate, seed: int) -> float:
    # Of id and seed alone, so that a choice does not depend on who else is there.
    digest = hashlib.sha256(f"{seed} {candidate.listing_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _loss(candidate: Candidate, seed: int) -> float:
    if candidate.loss is None:
        raise ValueError(
            f"candidate {candidate.listing_id} has no loss; measure it with "
            "trainer.learning.listing_losses.listing_losses first"
        )
    return candidate.loss


def _fullest(candidate: Candidate, seed: int) -> float:
    attributes = applying(candidate.attributes, candidate.catalog)
    return len(valid_names(attributes, candidate.catalog))


CURATIONS: Mapping[str, Score] = {
    "gap": _gap,
    "deficit": _deficit,
    "edits": _edits,
    "random": _random,
    "loss": _loss,
    "fullest": _fullest,
}

_OVER_WHAT_WAS_ASKED = frozenset(("gap", "deficit", "edits"))

COUNTS_BY: Mapping[str, str] = {"gap": "deficit", "deficit": "deficit", "edits": "edits"}
"""The score that a candidate needs some of to be chosen at all. Ranked by gap too it is the
deficit: a model that fills more than sellers do leaves no positive gap while deficits remain."""


def select(
    candidates: Iterable[Candidate], k: int, curation: str, seed: int = 0
) -> list[Candidate]:
    """The `k` best by `curation`, best first, ties by `listing_id`; fewer where fewer count.

    Args:
        candidates: listings that may be trained on. Those that judge (`schemas.heldout`) and their
            near-duplicates (`schemas.likeness`) are not among them.

    Raises:
        KeyError: `curation` is none of `CURATIONS`.
        ValueError: it is `loss`, and a candidate has none.
    """
    score, counted = CURATIONS[curation], COUNTS_BY.get(curation)
    counting = [c for c in candidates if counted is None or CURATIONS[counted](c, seed) > 0]

    def rank(c: Candidate) -> tuple[float, str]:
        weight = c.asked_share if curation in _OVER_WHAT_WAS_ASKED else 1.0
        return -score(c, seed) * weight, c.listing_id

    return sorted(counting, key=rank)[:k]
