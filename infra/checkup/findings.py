"""What to mend before a run, worst first."""

from infra.checkup.report import AttributeCheck, CheckReport, Finding

WORTH_MENDING = 0.05
"""The part of a catalog whose loss is worth mending first; no catalog is without a misspelled
value, so less is a hint."""
SYSTEMATIC = 0.5
FEW = 10
"""Where so great a share of an attribute's values is lost, and so many of them, its type or its
export is wrong, however small its category."""


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
    if not report.products:
        why_not = "no product is of a category of the schema; check that they match"
    if why_not is not None:
        found.append(Finding(severity="stop", loss=1.0, sentence=why_not))
    wrong = sum(reason.count for reason in report.wrong)
    if wrong > most_rejected * report.lines:
        sentence = (
            f"{wrong} of {report.lines} lines are no product, where at most {most_rejected:.0%} "
            f"may be: {report.wrong[0].reason} ({report.wrong[0].examples[0]})"
        )
        found.append(Finding(severity="stop", loss=wrong / report.lines, sentence=sentence))
    split = report.split
    teachers, judges = split.needed
    if why_not is None and (split.teachers < teachers or split.judges < judges):
        sentence = (
            f"{split.teachers} products to learn from and {split.judges} to judge on, where the "
            f"settings' rounds need {teachers} and {judges}; add products, or set smaller "
            "LISTUNE_STREAMS__K and LISTUNE_STREAMS__HELDOUT_LEAST"
        )
        found.append(Finding(severity="stop", loss=1.0, sentence=sentence))
    return found


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
        found.append(_weighed(near / split.teachers, sentence))
    blank = report.products - report.with_values
    if blank:
        sentence = f"{blank} products have no value; they teach nothing"
        found.append(_weighed(blank / report.products, sentence))
    return found


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
