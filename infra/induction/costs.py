"""The second pass: the values that a schema leaves out of a catalog, counted by the rules that
read one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.induction.counting import Entry, given
from schemas.category import CategorySchema
from schemas.values import mend, refusal

EXAMPLES = 3
LONGEST_SHOWN = 60
NOT_ASKED = "not_asked"


@dataclass
class Cost:
    """Of an attribute: its values, those that are left out, by the word of `schemas.refusals`
    (`not_asked`: the schema lacks it) and a few of them."""

    values: int = 0
    left_out: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def leave_out(self, values: list[str], reason: str) -> None:
        """Count values that are left out together."""
        self.left_out += len(values)
        self.reasons[reason] += len(values)
        shown = " | ".join(values)
        shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"
        if len(self.examples) < EXAMPLES and shown not in self.examples:
            self.examples.append(shown)


Costs = dict[tuple[str, str], Cost]
"""By category and attribute."""
MOST_COSTS = 100_000
OTHERS = ("", "")
"""Where values are counted once there are so many costs that no more are told apart."""


def costs(entries: Iterable[Entry], schemas: Mapping[str, CategorySchema]) -> Costs:
    """What `schemas` costs of the values of `entries`. As the catalog's reader has it, one illegal
    value leaves out all those of the attribute that the product has."""
    found: Costs = {}
    for entry in entries:
        category = str(entry.get("category"))
        schema = schemas.get(category)
        catalog = entry.get("catalog")
        for name, values in given(entry):
            key = (category, name)
            if key not in found and len(found) >= MOST_COSTS:
                key = OTHERS
            cost = found.setdefault(key, Cost())
            attribute = None if schema is None else schema.find(name)
            if attribute is None:
                cost.values += len(values)
                cost.leave_out(values, NOT_ASKED)
                continue
            content = catalog[name] if isinstance(catalog, Mapping) else []
            texts = content if isinstance(content, list) else [content]
            mended = mend(attribute, [text for text in texts if isinstance(text, str)])
            cost.values += len(mended)
            if mended and (refused := refusal(attribute, mended)) is not None:
                cost.leave_out([_shown(value) for value in mended], refused.reason)
    return found


def _shown(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
