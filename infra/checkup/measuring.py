"""From a catalog's products, and what was left out of it, to a report."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.catalogs.catalog import Product
from infra.catalogs.entries import shown
from infra.catalogs.grouping import parted, together
from infra.catalogs.reading import NO_CATEGORY, NOT_THERE, REFUSED, Reading
from infra.checkup.findings import findings
from infra.checkup.learnable import apart, compared, why_not
from infra.checkup.lengths import Lengths
from infra.checkup.mentions import stands_in, text_of
from infra.checkup.needs import Needs
from infra.checkup.report import (
    AttributeCheck,
    CheckReport,
    DuplicateGroup,
    Pictures,
    Reason,
    Split,
    Unknown,
)
from infra.importing.rejected import LONGEST_SHOWN, Rejected
from schemas.category import Attribute, AttributeType, CategorySchemas
from schemas.texts import one_line
from schemas.values import SEPARATOR

EXAMPLES = 10
KEPT_REASONS = 20
KEPT_UNKNOWN = 100
LARGEST_GROUPS = 10
GROUP_EXAMPLES = 3

_OTHERS = re.compile(r"^product_id .* stands in line \d+ already", re.DOTALL)
_CUT_VALUE = re.compile(r"""^(['"]).*?…\1""")


class Rejections:
    """Counts what is left out by category, attribute and reason, with the first ten of each."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._examples: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)

    def __call__(self, rejected: Rejected) -> None:
        """Count one."""
        of_what = (rejected.category or "", rejected.attribute or "")
        reason = _kind(rejected)
        known = self._counts[of_what]
        # Reasons that name a value may be as many as there are values.
        if reason not in known and len(known) >= KEPT_REASONS:
            reason = "other reasons"
        known[reason] += 1
        examples = self._examples[*of_what, reason]
        if len(examples) < EXAMPLES:
            value = "" if rejected.value is None else f"{rejected.value!r}, "
            examples.append(f"{value}line {rejected.line}")

    def and_then(self, told: Callable[[Rejected], object]) -> Callable[[Rejected], None]:
        """Counts one and tells it on."""

        def both(rejected: Rejected) -> None:
            self(rejected)
            told(rejected)

        return both

    def reasons(self, category: str = "", attribute: str = "") -> list[Reason]:
        """Of an attribute, or of whole lines, the most frequent first."""
        found = self._counts.get((category, attribute), Counter[str]())
        return [
            Reason(reason=reason, count=n, examples=self._examples[category, attribute, reason])
            for reason, n in found.most_common()
        ]


def _kind(rejected: Rejected) -> str:
    """The reason without the value that it names, so that equal ones are counted together."""
    reason = rejected.reason
    if rejected.attribute is None:
        return _OTHERS.sub("product_id stands in an earlier line already", reason)
    for value in (rejected.value or "").split(SEPARATOR):
        reason = reason.replace(repr(value), "it", 1)
    return _CUT_VALUE.sub("it", reason)


def measure(
    reading: Reading,
    schema_file: Path,
    schemas: CategorySchemas,
    rejections: Rejections,
    lengths: Lengths,
    needs: Needs,
) -> CheckReport:
    """All that can be said of the catalog, with what to mend."""
    products = reading.products
    some = compared(products)
    groups = together(some)
    report = CheckReport(
        catalog=str(reading.path),
        schema_file=str(schema_file),
        unit=lengths.unit,
        lines=reading.lines,
        products=len(products),
        with_values=sum(bool(product.truth) for product in products),
        empty_categories=len(schemas.keys() - {product.category for product in products}),
        other_products=reading.dropped[NO_CATEGORY],
        unknown_categories=_unknown(reading.unknown_categories),
        unknown_attributes=_unknown(
            Counter({", ".join(k): n for k, n in reading.unknown_attributes.items()})
        ),
        pictures=_pictures(reading),
        wrong=rejections.reasons(),
        warnings=reading.warnings,
        attributes=_attributes(products, schemas, rejections, lengths),
        compared=len(some),
        groups=len(groups),
        several=sum(len(group) > 1 for group in groups),
        largest=_largest(groups),
        split=_split(products, some, needs),
    )
    reason = None
    if products:
        first = reading.first.get(REFUSED, "")
        reason = why_not(products, needs.heldout_share, needs.rounds, first)
    return report.model_copy(update={"findings": findings(report, reason, needs.most_rejected)})


def _unknown(counts: Counter[str]) -> list[Unknown]:
    kept = counts.most_common(KEPT_UNKNOWN)
    return [Unknown(name=one_line(shown(name)), count=count) for name, count in kept]


def _pictures(reading: Reading) -> Pictures:
    seen = [product for product in reading.products if product.images]
    return Pictures(
        products=len(seen),
        without_text=sum(not product.title and not product.description for product in seen),
        missing=reading.dropped[NOT_THERE],
    )


def _split(products: Sequence[Product], some: Sequence[Product], needs: Needs) -> Split:
    judges, others = parted(products, needs.heldout_share)
    found = Counter(product.category for product in apart(some, needs.heldout_share))
    among = Counter(p.category for p in parted(some, needs.heldout_share)[1] if p.truth)
    all_ = Counter(product.category for product in others if product.truth)
    return Split(
        share=needs.heldout_share,
        judges=len(judges),
        teachers=all_.total(),
        apart=round(sum(all_[name] * found[name] / among[name] for name in among)),
        counting=(needs.teaching(others), needs.judging(judges)),
        rounds=needs.rounds,
        needed=(needs.teachers, needs.judges),
    )


def _largest(groups: list[list[Product]]) -> list[DuplicateGroup]:
    several = sorted((group for group in groups if len(group) > 1), key=len, reverse=True)
    return [
        DuplicateGroup(
            category=group[0].category,
            products=len(group),
            examples=[product.title[:LONGEST_SHOWN] for product in group[:GROUP_EXAMPLES]],
        )
        for group in several[:LARGEST_GROUPS]
    ]


def _attributes(
    products: Sequence[Product],
    schemas: CategorySchemas,
    rejections: Rejections,
    lengths: Lengths,
) -> list[AttributeCheck]:
    by_category: defaultdict[str, list[Product]] = defaultdict(list)
    for product in products:
        by_category[product.category].append(product)
    rows = []
    for category, schema in schemas.items():
        own = by_category.get(category, [])
        texts = [text_of(product) for product in own]
        if own:
            rows += [
                _attribute(category, one, own, texts, rejections, lengths)
                for one in schema.attributes
            ]
    return rows


def _attribute(
    category: str,
    attribute: Attribute,
    products: Sequence[Product],
    texts: Sequence[str],
    rejections: Rejections,
    lengths: Lengths,
) -> AttributeCheck:
    name = attribute.name
    answers: Counter[tuple[str, ...]] = Counter()
    distinct: set[str] = set()
    asked = values = mentioned = 0
    for product, text in zip(products, texts, strict=True):
        if product.requested is not None and name not in product.requested:
            continue
        asked += 1
        found = product.truth.get(name)
        if not found:
            continue
        distinct.update(found)
        stand = [stands_in(value, text) for value in found]
        if attribute.multi_value:
            answers[tuple(found)] += 1
            values, mentioned = values + len(found), mentioned + sum(stand)
        else:  # several are spellings of one value: the first is the answer, any is right
            answers[found[0],] += 1
            values, mentioned = values + 1, mentioned + any(stand)
    written = list(answers)
    sizes = lengths.of(written)
    longest = max(range(len(sizes)), key=sizes.__getitem__, default=None)
    cap = lengths.cap(attribute)
    reasons = rejections.reasons(category, name)
    return AttributeCheck(
        category=category,
        attribute=name,
        type=attribute.type.value,
        products=asked,
        filled=answers.total(),
        values=values,
        distinct=len(distinct),
        longest=0 if longest is None else sizes[longest],
        longest_value="" if longest is None else SEPARATOR.join(written[longest])[:LONGEST_SHOWN],
        cap=cap,
        over_cap=sum(
            answers[one] for one, size in zip(written, sizes, strict=True) if cap and size > cap
        ),
        in_text=None if attribute.type is AttributeType.BOOLEAN else mentioned,
        refused=sum(reason.count for reason in reasons),
        reasons=reasons,
    )
