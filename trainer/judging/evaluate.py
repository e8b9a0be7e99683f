"""What an adapter is worth on held-out listings: net benefit and what it is made of, latency.

- net benefit = (right - c * wrong) / values that the catalog has; wrong = suggested there and not
  right, c = what a wrong suggestion costs the seller, in right ones saved. Guessing raises recall
  and lowers precision; this is their sum in the seller's currency. Vickers and Elkin, "Decision
  curve analysis", Medical Decision Making 26, 2006.
- completeness, equation (1): the mean over listings of the share of requested attributes that are
  filled legally.
- recall = right / values that the catalog has.
- precision = right / those of them for which a legal value was suggested. What the catalog leaves
  blank is unlabelled, so a value suggested there counts neither for nor against.
- correct completeness = completeness * precision, what the paper audits by hand.
- required completeness: of the requested attributes that a listing needs (`required`), the share
  filled legally, over all listings; told where there are any.
- abstention: the share of requested attributes for which nothing was written, legal or not.

Each has a bootstrap interval clustered by listing.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from schemas.completeness import valid_names
from schemas.conditions import applying
from schemas.events import Interval, Mode, RoundMetrics, ValueLists
from schemas.values import matches
from serving.generation import GenerationResult
from serving.settings import ServingSettings, fields_that_change
from trainer.data.dataset import Row
from trainer.judging.calibrate import Suggestion, suggestions
from trainer.judging.intervals import Measure, ProductOfRatios, Ratio, draw_listings, interval

METRICS = ("net_benefit", "completeness", "recall", "precision", "correct_completeness")

Inputs = Literal["text", "image", "text+image", "nothing"]
"""What is seen of a listing: its title or description, its pictures, both or neither."""


class ListingScore(BaseModel):
    """One held-out listing and what the adapter made of it. Counts are of attributes.

    `seconds` is the engine's time at work on this listing. With several in flight it is the time in
    their common batch, which is longer than alone.
    """

    model_config = ConfigDict(frozen=True)

    listing_id: str
    asked: int  # attributes requested
    valid: int  # filled with a legal value
    labelled: int  # those for which the catalog has a legal value
    suggested: int  # labelled, and a legal value was suggested
    right: int  # labelled, and the suggestion matches
    required: int = 0  # requested attributes that a listing needs
    required_valid: int = 0  # those filled with a legal value
    seconds: float
    values: ValueLists
    invalid: dict[str, str]
    category: str = ""
    inputs: Inputs = "text"
    suggestions: tuple[Suggestion, ...] = ()  # those that can be compared, with their confidence
    tokens_computed: int = 0
    logits_computed: int = 0

    @property
    def blank(self) -> int:
        """Requested attributes for which nothing was written."""
        return self.asked - self.valid - len(self.invalid)

    @property
    def category_group(self) -> str:
        """The top level of a category path such as `Kitchen > Kettles`."""
        return self.category.split(">")[0].strip()


class EvaluationKey(BaseModel):
    """What an evaluation depends on: equal keys, equal answers."""

    model_config = ConfigDict(frozen=True)

    adapter_hash: str
    base_hash: str
    heldout_hash: str
    one_shot: bool
    settings: str  # JSON of those that answers depend on
    schema_shown: bool = False  # the category's attributes and allowed values before each listing
    shown_from: str = ""  # `one_shot`: the hash of the listings that examples are taken from
    version: int = 3  # of what is kept of an answer: older files are judged anew

    @property
    def mode(self) -> Mode | None:
        """How the answers are decoded; None for what is no model of ours."""
        mode = json.loads(self.settings).get("mode")
        return Mode(mode) if mode else None

    @classmethod
    def of(
        cls,
        adapter_hash: str,
        base_hash: str,
        heldout_hash: str,
        serving: ServingSettings,
        one_shot: bool = False,
        schema_shown: bool = False,
        shown_from: str = "",
    ) -> "EvaluationKey":
        """The key of an evaluation under `serving`."""
        return cls(
            adapter_hash=adapter_hash,
            base_hash=base_hash,
            heldout_hash=heldout_hash,
            one_shot=one_shot,
            settings=serving.model_dump_json(
                include=fields_that_change(ServingSettings, "training", "answers")
            ),
            schema_shown=schema_shown,
            shown_from=shown_from,
        )

    @classmethod
    def of_baseline(cls, name: str, heldout_hash: str, depends_on: str = "") -> "EvaluationKey":
        """The key of what is no adapter of ours; `depends_on` tells what it was fitted on."""
        return cls(
            adapter_hash=name,
            base_hash=depends_on,
            heldout_hash=heldout_hash,
            one_shot=False,
            settings="{}",
        )


class Evaluation(BaseModel):
    """The scores of one adapter on one held-out set; `key` says of what under which settings."""

    model_config = ConfigDict(frozen=True)

    key: EvaluationKey
    adapter_id: str
    listings: list[ListingScore]
    seconds: float  # the whole evaluation, wall clock
    in_flight: int = 1  # listings side by side, which the listings' seconds depend on

    def same_listings(self, other: "Evaluation") -> bool:
        """Whether the two can be compared listing by listing."""
        mine = [score.listing_id for score in self.listings]
        return mine == [score.listing_id for score in other.listings]

    def groups(self, group: Callable[[ListingScore], str]) -> dict[str, "Evaluation"]:
        """The listings of each group as an evaluation of their own, by the group's name."""
        members: defaultdict[str, list[ListingScore]] = defaultdict(list)
        for listing in self.listings:
            members[group(listing)].append(listing)
        per_listing = self.seconds / len(self.listings)
        return {
            name: self.model_copy(update={"listings": own, "seconds": per_listing * len(own)})
            for name, own in sorted(members.items())
        }

    def by_inputs(self) -> dict[str, "Evaluation"]:
        """The listings of each of `Inputs` that there is, as an evaluation of their own."""
        return self.groups(lambda score: score.inputs)

    def measure(self, metric: str, cost_of_wrong: float) -> Measure:
        """One of `METRICS`; `cost_of_wrong` is the net benefit's c."""
        if metric == "net_benefit":
            right, suggested, labelled = (
                np.array([getattr(s, name) for s in self.listings], dtype=np.float64)
                for name in ("right", "suggested", "labelled")
            )
            return Ratio(right - cost_of_wrong * (suggested - right), labelled)
        if metric == "correct_completeness":
            return ProductOfRatios(self.ratio("completeness"), self.ratio("precision"))
        return self.ratio(metric)

    def ratio(self, metric: str) -> Ratio:
        """`completeness`, `required`, `recall`, `precision` or `abstention`, listing by listing."""
        if metric == "required":
            filled = [float(s.required_valid) for s in self.listings]
            return Ratio(np.array(filled), np.array([float(s.required) for s in self.listings]))
        if metric == "abstention":
            blank = [float(s.blank) for s in self.listings]
            return Ratio(np.array(blank), np.array([float(s.asked) for s in self.listings]))
        if metric == "completeness":
            # A listing that asks for nothing has no completeness and weighs nothing.
            share = [s.valid / s.asked if s.asked else 0.0 for s in self.listings]
            return Ratio(np.array(share), np.array([float(s.asked > 0) for s in self.listings]))
        below = [s.labelled if metric == "recall" else s.suggested for s in self.listings]
        right = np.array([s.right for s in self.listings], dtype=np.float64)
        return Ratio(right, np.array(below, dtype=np.float64))

    def metrics(self, cost_of_wrong: float, draws: int = 2000, seed: int = 0) -> RoundMetrics:
        """`METRICS` with their two-sided 95 % intervals.

        The latencies, in milliseconds, are those of a listing among `in_flight` others.
        """
        drawn = draw_listings(len(self.listings), draws, seed)
        intervals: dict[str, Interval] = {
            m: interval(self.measure(m, cost_of_wrong), drawn) for m in METRICS
        }
        p50, p90 = np.quantile([s.seconds * 1000 for s in self.listings], [0.5, 0.9])
        return RoundMetrics(
            **intervals, listings=len(self.listings), p50_ms=float(p50), p90_ms=float(p90)
        )


def scored(
    key: EvaluationKey,
    rows: Sequence[Row],
    results: Sequence[GenerationResult],
    seconds: float,
    in_flight: int,
) -> Evaluation:
    """The evaluation that these answers to `rows` make, given in `seconds` of wall clock."""
    return Evaluation(
        key=key,
        adapter_id=results[-1].adapter_id,
        listings=[score(row, result) for row, result in zip(rows, results, strict=True)],
        seconds=seconds,
        in_flight=in_flight,
    )


def score(row: Row, result: GenerationResult) -> ListingScore:
    """One answer against its catalog."""
    # What does not apply by the answer itself is not shown to a seller.
    valid = valid_names(applying(row.attributes, result.values), result.values)
    labelled = row.filled()
    right = sum(
        a.name in valid and matches(a, result.values[a.name], row.values[a.name]) for a in labelled
    )
    return ListingScore(
        listing_id=row.listing.listing_id,
        asked=len(row.attributes),
        valid=len(valid),
        labelled=len(labelled),
        suggested=sum(a.name in valid for a in labelled),
        right=right,
        required=sum(a.required for a in row.attributes),
        required_valid=sum(a.required and a.name in valid for a in row.attributes),
        seconds=result.seconds,
        values=result.values,
        invalid=result.invalid,
        category=row.listing.category,
        inputs=inputs_of(row),
        suggestions=tuple(suggestions(row, result)),
        tokens_computed=result.tokens_computed,
        logits_computed=result.logits_computed,
    )


def inputs_of(row: Row) -> Inputs:
    """What is seen of `row`. A picture that its seller named and nobody could get is not."""
    if row.pictures:
        return "text+image" if row.has_text else "image"
    return "text" if row.has_text else "nothing"
