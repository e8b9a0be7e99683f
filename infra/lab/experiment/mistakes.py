"""Where an adapter still errs: by type of attribute, and by what stands in the text."""

from collections.abc import Sequence

from pydantic import BaseModel

from infra.lab.experiment.knowable import stands_in
from schemas.completeness import valid_names
from schemas.values import format_answer, matches
from trainer.data.dataset import Row
from trainer.judging.evaluate import Evaluation, ListingScore

SHOWN = 12
"""Wrong answers that are shown as they are."""


class Mistakes(BaseModel):
    """What became of the catalog's values of one kind; the last four add up to `values`."""

    type: str
    in_text: bool  # the catalog's value stands in the text
    values: int
    right: int
    wrong: int  # legal, and another value than the catalog's
    copied: int  # of `wrong`: it stands in the text, so the wrong place was read
    illegal: int  # the schema refuses it
    blank: int


class Mistake(BaseModel):
    """One wrong answer."""

    listing: str  # its title
    attribute: str
    answer: str
    catalog: str
    in_text: bool


def mistakes(rows: Sequence[Row], evaluation: Evaluation) -> list[Mistakes]:
    """The counts over all labelled attributes of `rows`, most values first."""
    found: dict[tuple[str, bool], Mistakes] = {}
    for row, score in zip(rows, evaluation.listings, strict=True):
        text = f"{row.listing.title}\n{row.listing.description}"
        valid = valid_names(row.attributes, score.values)
        for attribute in row.filled():
            name, truth = attribute.name, row.values[attribute.name]
            key = (attribute.type.value, stands_in(text, attribute, truth))
            counts = found.setdefault(
                key,
                Mistakes(
                    type=key[0],
                    in_text=key[1],
                    values=0,
                    right=0,
                    wrong=0,
                    copied=0,
                    illegal=0,
                    blank=0,
                ),
            )
            counts.values += 1
            if name in valid and matches(attribute, score.values[name], truth):
                counts.right += 1
            elif name in valid:
                counts.wrong += 1
                counts.copied += stands_in(text, attribute, score.values[name])
            elif name in score.invalid:
                counts.illegal += 1
            else:
                counts.blank += 1
    return sorted(found.values(), key=lambda one: -one.values)


def wrong_answers(rows: Sequence[Row], evaluation: Evaluation) -> list[Mistake]:
    """At most `SHOWN` wrong or illegal answers, one a listing, in the listings' order."""
    found = (
        mistake
        for row, score in zip(rows, evaluation.listings, strict=True)
        for mistake in _first_wrong(row, score)
    )
    return [mistake for mistake, _ in zip(found, range(SHOWN), strict=False)]


def _first_wrong(row: Row, score: ListingScore) -> list[Mistake]:
    text = f"{row.listing.title}\n{row.listing.description}"
    for attribute in row.filled():
        name, truth = attribute.name, row.values[attribute.name]
        answer = score.values.get(name, [])
        shown = score.invalid.get(name) or format_answer(answer)
        if shown and not matches(attribute, answer, truth):
            return [
                Mistake(
                    listing=row.listing.title,
                    attribute=name,
                    answer=shown,
                    catalog=format_answer(truth),
                    in_text=stands_in(text, attribute, truth),
                )
            ]
    return []
