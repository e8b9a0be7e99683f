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
    titles are near no held-out one's. needed: teachers and judges that the settings' rounds need.
    """

    share: float
    judges: int
    teachers: int
    apart: int
    needed: tuple[int, int]


class Finding(Frozen):
    """One thing to mend; `loss` is the share of the catalog that it costs, 0 to 1."""

    severity: Severity
    loss: float
    sentence: str


class CheckReport(Frozen):
    """A whole check. compared: products whose titles were compared for near-duplicates."""

    catalog: str
    schema_file: str
    unit: Literal["tokens", "characters"]
    lines: int
    products: int
    with_values: int
    empty_categories: int
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
    def stops(self) -> bool:
        """Whether nothing could be learnt as it is."""
        return any(finding.severity == "stop" for finding in self.findings)
