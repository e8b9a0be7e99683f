"""What a check found, as data: `CheckReport` is the content of report.json."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["stop", "mend", "hint"]
"""Nothing could be learnt so; worth mending first; small."""


class Frozen(BaseModel):
    """A part of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(Frozen):
    """Why something was left out, how often, and the first ten: value and line."""

    reason: str
    count: int
    examples: list[str]


class AttributeCheck(Frozen):
    """One attribute of one category; of the products that it is asked of.

    longest: of an answer, with its stop, in the report's unit. cap: its room, in tokens; None where
    tokens were not counted. in_text: of `values`, those that stand in title or description; None
    for a boolean, whose word says nothing.
    """

    category: str
    attribute: str
    type: str
    products: int
    filled: int
    values: int
    distinct: int
    longest: int
    longest_value: str
    cap: int | None
    over_cap: int
    in_text: int | None
    refused: int
    reasons: list[Reason]


class DuplicateGroup(Frozen):
    """Products that count as one: one cluster, or titles that are nearly the same."""

    category: str
    products: int
    examples: list[str]  # titles


class Split(Frozen):
    """What a run could learn from and judge on.

    judges: held-out products. teachers: others with a value. apart: of `teachers` those whose
    titles are near no held-out one's. counting: teachers and judges that count, since a round takes
    few with the same text. needed: teachers and judges that the settings' rounds need.
    """

    share: float
    judges: int
    teachers: int
    apart: int
    counting: tuple[int, int]
    rounds: int
    needed: tuple[int, int]


class Finding(Frozen):
    """One thing to mend; `loss` is the share of the catalog that it costs, 0 to 1."""

    severity: Severity
    loss: float
    sentence: str


class Unknown(Frozen):
    """What the schema lacks, and how many products or values are left out for it."""

    name: str
    count: int


class Pictures(Frozen):
    """Products with pictures that are there or are URIs, those of them without a text, and the
    images that are not there."""

    products: int
    without_text: int
    missing: int


class CheckReport(Frozen):
    """A whole check.

    compared: products whose titles were compared for near-duplicates. unknown_categories,
    unknown_attributes (`category, attribute`): the most frequent that the schema lacks.
    """

    catalog: str
    schema_file: str
    unit: Literal["tokens", "characters"]
    lines: int
    products: int
    with_values: int
    empty_categories: int
    other_products: int
    unknown_categories: list[Unknown]
    unknown_attributes: list[Unknown]
    pictures: Pictures
    wrong: list[Reason]
    warnings: list[str]
    attributes: list[AttributeCheck]
    compared: int
    groups: int
    largest: list[DuplicateGroup]
    split: Split
    findings: list[Finding] = []

    @property
    def ready(self) -> bool:
        """Whether there is nothing that is worth mending first."""
        return all(finding.severity == "hint" for finding in self.findings)

    @property
    def stop(self) -> str | None:
        """Why nothing could be learnt as it is; None where something could."""
        return next((one.sentence for one in self.findings if one.severity == "stop"), None)
