"""What an adapter has to beat: answers that need no model, fitted on the training listings only.

Each answers the same `GenerationRequest` as the engine, so that `trainer.judging.evaluate` scores
it in the same way.

- `MajorityValue`: each attribute's most frequent value in the category.
- `NearestListing`: the values of the listing of the category whose title and description are most
  similar (cosine of TF-IDF vectors over words and pairs of words).
- `NearestPicture`: those of the listing of the category one of whose pictures is most similar to
  one of the asked listing's (cosine of the vectors that a frozen encoder makes of them).

What the nearest listing leaves blank stays blank, or with `fill_from_next` comes from the next most
similar one that has a value. A category without training listings, and an attribute without a value
in it, get a blank; so does a listing without a text, or without a picture, where that is what is
compared. Ties go by the order of the training listings.

The base model is shown something before the product: `NearestExample` shows the listing with the
most similar text and its values, `serving.examples.schema_example` the category's attributes.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from schemas.category import Attribute
from schemas.events import ValueLists
from serving.generation import GenerationRequest, GenerationResult
from serving.listing import Listing
from serving.pictures.picture import Picture
from serving.prompt import Example
from trainer.data.dataset import Row
from trainer.errors import DataError
from trainer.judging.intervals import Floats

Answer = tuple[list[str], float]
"""Values, and how sure they are, 0 to 1."""

Neighbours = list[tuple[Row, float]]
"""Training listings and how similar they are, the most similar first."""

Vector = Callable[[Picture], Floats]
"""What an encoder makes of a picture, shape (features,)."""


class MajorityValue:
    """Answers with the category's most frequent value; its share there is the confidence."""

    name = "majority value"

    def __init__(self, rows: Sequence[Row]) -> None:
        counts: defaultdict[tuple[str, str], Counter[tuple[str, ...]]] = defaultdict(Counter)
        for row in rows:
            for attribute in row.filled():
                answer = tuple(row.answer(attribute))
                counts[row.listing.category, attribute.name][answer] += 1
        self._answers = {place: _most_frequent(values) for place, values in counts.items()}

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """The answer to `request`."""
        category = request.listing.category
        return timed(self.name, request, lambda a: self._answers.get((category, a.name)))


class NearestListing:
    """Answers with the values of the most similar listing; the similarity is the confidence."""

    def __init__(self, rows: Sequence[Row], fill_from_next: bool = False) -> None:
        """Fit on `rows`.

        Raises:
            DataError: they have no words to compare.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.name = "nearest listing, filled up" if fill_from_next else "nearest listing"
        self._depth = None if fill_from_next else 1
        rows = [row for row in rows if row.has_text]
        # Sizes and model numbers are words too: the default pattern drops single characters.
        self._vectorizer = TfidfVectorizer(
            token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True
        )
        try:
            vectors = self._vectorizer.fit_transform(_text(row.listing) for row in rows)
        except ValueError as error:
            raise DataError(
                f"no neighbours among the training listings ({error}); give listings with text"
            ) from None
        members: defaultdict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            members[row.listing.category].append(place)
        self._of: dict[str, tuple[list[Row], Any]] = {
            category: ([rows[place] for place in places], vectors[places])
            for category, places in members.items()
        }

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """The answer to `request`."""
        return from_neighbours(self.name, request, lambda: self._nearest(request.listing))

    def nearest(self, listing: Listing) -> Row | None:
        """The most similar listing of the category; None for a category without one, and for a
        listing without a text."""
        found = self._nearest(listing)
        return found[0][0] if found else None

    def _nearest(self, listing: Listing) -> Neighbours:
        if listing.category not in self._of or not listing.has_text:
            return []
        rows, vectors = self._of[listing.category]
        # The vectors have length 1, so that the product is the cosine.
        query = self._vectorizer.transform([_text(listing)])
        similarities = (vectors @ query.T).toarray().ravel()
        order = np.argsort(-similarities, kind="stable")[: self._depth]
        return [(rows[i], float(similarities[i])) for i in order]


class NearestPicture:
    """Answers with the values of the listing with the most similar picture; the similarity is the
    confidence."""

    def __init__(
        self,
        rows: Sequence[Row],
        pictures_of: Callable[[Row], Sequence[Picture]],
        vector: Vector,
        fill_from_next: bool = False,
    ) -> None:
        """Fit on those of `rows` that have a picture, which is read, made a vector and let go."""
        self.name = "nearest picture, filled up" if fill_from_next else "nearest picture"
        self._depth = None if fill_from_next else 1
        self._vector = vector
        members: defaultdict[str, list[tuple[Row, list[Floats]]]] = defaultdict(list)
        for row in rows:
            if seen := [_unit(vector(picture)) for picture in pictures_of(row)]:
                members[row.listing.category].append((row, seen))
        self._of = {category: _Pictured.of(pairs) for category, pairs in members.items()}

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """The answer to `request`."""
        return from_neighbours(self.name, request, lambda: self._nearest(request))

    def _nearest(self, request: GenerationRequest) -> Neighbours:
        known = self._of.get(request.listing.category)
        if known is None or not request.pictures:
            return []
        asked = np.stack([_unit(self._vector(Picture(data))) for data in request.pictures])
        of_pictures = (known.vectors @ asked.T).max(axis=1)
        similarities = np.maximum.reduceat(of_pictures, known.starts)
        order = np.argsort(-similarities, kind="stable")[: self._depth]
        return [(known.rows[i], float(similarities[i])) for i in order]


@dataclass(frozen=True)
class _Pictured:
    """Listings of a category, each with one picture or more."""

    rows: list[Row]
    vectors: Floats  # (pictures, features), each of length 1
    starts: list[int]  # of each listing's pictures among them

    @classmethod
    def of(cls, pairs: Sequence[tuple[Row, list[Floats]]]) -> "_Pictured":
        counts = [len(seen) for _, seen in pairs]
        vectors = np.stack([unit for _, seen in pairs for unit in seen])
        return cls([row for row, _ in pairs], vectors, [0, *accumulate(counts[:-1])])


class NearestExample:
    """The worked example to show before a listing, as a deployment would retrieve it: the most
    similar listing of the category that has arrived, with its values.

    Without one a base model does not know the format, and the first round's gain looks staged.
    Where the category has no listing, the first one of any category shows the format at least.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Take examples from `rows`.

        Raises:
            DataError: they have no words to compare.
        """
        self._rows = [row for row in rows if row.filled() and row.has_text]
        self._nearest = NearestListing(self._rows) if self._rows else None

    def __call__(self, row: Row) -> Example | None:
        """The example for `row`, never itself; None where there is none."""
        if self._nearest is None:
            return None
        others = (other for other in self._rows if other.listing != row.listing)
        shown = self._nearest.nearest(row.listing)
        if shown is None and not row.has_text:
            of_category = (o for o in self._rows if o.listing.category == row.listing.category)
            shown = next(of_category, None)
        if shown is None or shown.listing.listing_id == row.listing.listing_id:
            shown = next(others, None)
        if shown is None:
            return None
        filled = shown.filled()
        return Example(shown.listing, tuple(filled), {a.name: shown.answer(a) for a in filled})


def from_neighbours(
    name: str, request: GenerationRequest, find: Callable[[], Neighbours]
) -> GenerationResult:
    """The result of answering each attribute with the first value that the neighbours have."""
    nearest: Neighbours | None = None

    def answer(attribute: Attribute) -> Answer | None:
        nonlocal nearest
        # Within the clock: looking for neighbours is the work.
        nearest = find() if nearest is None else nearest
        found = ((row.answer(attribute), similarity) for row, similarity in nearest)
        return next((entry for entry in found if entry[0]), None)

    return timed(name, request, answer)


def timed(
    name: str, request: GenerationRequest, answer: Callable[[Attribute], Answer | None]
) -> GenerationResult:
    """The result of answering each attribute of `request` with `answer`; None is a blank."""
    started = time.perf_counter()
    values: ValueLists = {}
    confidence = {}
    for attribute in request.attributes:
        found = answer(attribute)
        if found is not None:
            values[attribute.name], sure = list(found[0]), found[1]
            confidence[attribute.name] = min(max(sure, 0.0), 1.0)
    return GenerationResult(
        values=values,
        invalid={},
        confidence=confidence,
        adapter_id=name,
        adapter_hash=request.adapter_hash,
        batches=1,
        forward_passes=0,
        tokens_computed=0,
        logits_computed=0,
        seconds=time.perf_counter() - started,
    )


def _most_frequent(counts: Counter[tuple[str, ...]]) -> Answer:
    values, count = counts.most_common(1)[0]
    return list(values), count / counts.total()


def _unit(vector: Floats) -> Floats:
    """`vector` with length 1, so that a product is the cosine; one of zeros stays."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector, np.float64) / (length or 1.0)


def _text(listing: Listing) -> str:
    return f"{listing.title}\n{listing.description}"
