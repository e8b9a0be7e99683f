"""What to mend before a run, worst first."""

from collections.abc import Iterator

from infra.checkup.report import AttributeCheck, CheckReport, Finding, Severity, Split

WORTH_MENDING = 0.05
"""The part of a catalog whose loss is worth mending first; no catalog is without a misspelled
value, so less is a hint."""
SYSTEMATIC = 0.5
FEW = 10
"""Where so great a share of an attribute's values is lost, and so many of them, its type or its
export is wrong, however small its category."""
SEVERAL = " values for an attribute that takes one"
"""How `schemas.values` refuses several values of an attribute that is not `multi_value`."""


def findings(report: CheckReport, why_not: str | None, most_rejected: float) -> list[Finding]:
    """What `report` shows; `why_not` is why nothing could be learnt at all.

    What stops comes first, then what is worth mending, then hints; of each the greatest loss.
    """
    found = [*_stops(report, why_not, most_rejected), *_catalog(report)]
    for row in report.attributes:
        found += _attribute(row, report)
    order = ("stop", "mend", "hint")
    return sorted(found, key=lambda one: (order.index(one.severity), -one.loss, one.sentence))


def _stops(report: CheckReport, why_not: str | None, most_rejected: float) -> list[Finding]:
    found = []
    wrong = sum(reason.count for reason in report.wrong)
    if wrong > most_rejected * report.lines:
        sentence = (
            f"{wrong} of {report.lines} lines are no product, where at most {most_rejected:.0%} "
            f"may be: {report.wrong[0].reason} ({report.wrong[0].examples[0]})"
        )
        if wrong == report.lines:
            sentence += "; of a file of another kind `listune import` makes a catalog"
        found.append(Finding(severity="stop", loss=wrong / report.lines, sentence=sentence))
    if not report.products:
        if not found:
            found.append(Finding(severity="stop", loss=1.0, sentence=_no_product(report)))
        return found
    if why_not is not None:
        found.append(Finding(severity="stop", loss=1.0, sentence=why_not))
    if why_not is None and (too_few := _too_few(report.split)) is not None:
        found.append(Finding(severity="stop", loss=1.0, sentence=too_few))
    return found


def _no_product(report: CheckReport) -> str:
    if not report.lines:
        return "has no products; give a file with one a line"
    named = ", ".join(repr(one.name) for one in report.unknown_categories[:3])
    lacking = f", which lacks {named}" if named else ""
    return f"no product is of a category of the schema{lacking}; check that they match"


def _too_few(split: Split) -> str | None:
    (teachers, judges), counting = split.needed, split.counting
    if counting[0] >= teachers and counting[1] >= judges:
        return None
    alike = ""
    if counting != (split.teachers, split.judges):
        alike = (
            f" (of {split.teachers} and {split.judges}: of products with the same text few count, "
            "see LISTUNE_STREAMS__MAX_SHARE_PER_GROUP)"
        )
    return (
        f"has {counting[0]} products to learn from and {counting[1]} to judge on{alike}, where "
        f"{split.rounds} rounds need {teachers} and {judges}; give a larger catalog, or a smaller "
        "LISTUNE_STREAMS__K or LISTUNE_STREAMS__HELDOUT_LEAST"
    )


def _catalog(report: CheckReport) -> list[Finding]:
    found = []
    wrong = sum(reason.count for reason in report.wrong)
    if wrong:
        first = report.wrong[0]
        sentence = f"{wrong} lines are no product: {first.reason} ({first.examples[0]})"
        found.append(_weighed(wrong / report.lines, sentence))
    split = report.split
    near = split.teachers - split.apart
    if near:
        sentence = (
            f"{near} of {split.teachers} products to learn from have nearly the title of a "
            "held-out one and are passed over; add other products, not more variants"
        )
        # Every catalog has variants, and the others are not worse for them.
        severity: Severity = "mend" if near >= SYSTEMATIC * split.teachers else "hint"
        loss = near / split.teachers
        found.append(Finding(severity=severity, loss=loss, sentence=sentence))
    found += _unknown(report)
    several = sum(
        reason.count
        for row in report.attributes
        for reason in row.reasons
        if reason.reason.endswith(SEVERAL)
    )
    if several >= FEW:
        sentence = (
            f"{several} times an attribute that takes one value has several; give --alternatives "
            "if they are spellings of one, else set the attribute's `multi_value` in the schema"
        )
        found.append(_weighed(min(1.0, several / report.products), sentence))
    blank = report.products - report.with_values
    if blank:
        sentence = (
            f"{blank} of {report.products} products have no legal value and teach nothing; mend "
            "what was refused, or fill in what the schema asks for"
        )
        found.append(_weighed(blank / report.products, sentence))
    return found


def _unknown(report: CheckReport) -> Iterator[Finding]:
    """A schema may ask for less than a catalog has; where it asks for less than half, something
    most likely does not match."""
    if report.other_products:
        named = ", ".join(f"{one.name!r} ({one.count})" for one in report.unknown_categories[:3])
        all_ = report.products + report.other_products
        sentence = (
            f"{report.other_products} of {all_} products are of categories that the schema lacks: "
            f"{named}; add them to the schema, or correct the products"
        )
        loss = report.other_products / all_
        severity: Severity = "mend" if loss >= SYSTEMATIC else "hint"
        yield Finding(severity=severity, loss=loss, sentence=sentence)
    if report.unknown_attributes:
        named = "; ".join(f"{one.name} ({one.count})" for one in report.unknown_attributes[:3])
        sentence = f"values of attributes that the schema lacks are not learnt: {named}"
        yield Finding(severity="hint", loss=0.0, sentence=sentence)


def _attribute(row: AttributeCheck, report: CheckReport) -> list[Finding]:
    """An attribute that few products fill costs little, however many of its values are lost."""
    where, found = f"{row.category}, {row.attribute}", []
    given = row.filled + row.refused
    if row.refused:
        first = row.reasons[0]
        sentence = (
            f"{where}: {row.refused} of {given} values are refused; {first.count} because "
            f"{first.reason} ({first.examples[0]})"
        )
        found.append(_of_attribute(row.refused, given, report, sentence))
    if row.over_cap:
        sentence = (
            f"{where}: {row.over_cap} of {row.filled} answers are longer than their cap "
            f"({row.longest} tokens, {row.cap} have room); shorten them, or raise "
            "LISTUNE_SERVING__MAX_ANSWER_TOKENS"
        )
        found.append(_of_attribute(row.over_cap, row.filled, report, sentence))
    if not given:
        sentence = f"{where}: no product has a value, so it is never learnt; fill it, or drop it"
        found.append(Finding(severity="hint", loss=0.0, sentence=sentence))
    return found


def _of_attribute(lost: int, given: int, report: CheckReport, sentence: str) -> Finding:
    loss = min(1.0, lost / report.products)
    is_systematic = lost >= max(FEW, SYSTEMATIC * given)
    severity = "mend" if is_systematic or loss >= WORTH_MENDING else "hint"
    return Finding.model_validate({"severity": severity, "loss": loss, "sentence": sentence})


def _weighed(loss: float, sentence: str) -> Finding:
    severity = "mend" if loss >= WORTH_MENDING else "hint"
    return Finding.model_validate({"severity": severity, "loss": loss, "sentence": sentence})
