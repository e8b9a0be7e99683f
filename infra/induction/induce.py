"""A catalog's schema, induced in two passes: one decides, one counts what that costs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from infra.induction.costs import Cost, Costs, costs
from infra.induction.counting import Category, Entry, Tally, tally
from infra.induction.deciding import Decision, decide, legal_share
from infra.induction.limits import Limits
from infra.induction.paths import Families, parents
from schemas.category import MAX_NAME_LENGTH, AttributeType, CategorySchema
from schemas.texts import is_cut


@dataclass(frozen=True)
class Asked:
    """An attribute of a category: what was decided, by whose values (`taken_from`, None: its own),
    the share of the category's products that have it, and what the decision costs."""

    decision: Decision
    taken_from: str | None
    filled: float
    cost: Cost


@dataclass(frozen=True)
class LeftOut:
    """An attribute that products of a category have and that is not asked for, and why."""

    name: str
    why: str
    cost: Cost


@dataclass(frozen=True)
class InducedCategory:
    """A category's schema, and each of its decisions."""

    schema: CategorySchema
    products: int
    asked: tuple[Asked, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Induction:
    """All categories in the order in which the catalog has them, and what was not looked at since
    there was no room (`Limits.kept`)."""

    categories: tuple[InducedCategory, ...]
    unseen: int

    @property
    def schemas(self) -> dict[str, CategorySchema]:
        """The schemas by category."""
        return {one.schema.category: one.schema for one in self.categories}

    @property
    def values(self) -> int:
        """All values of the catalog."""
        return sum(cost.values for cost in self._costs())

    @property
    def lost(self) -> int:
        """The values that the schemas leave out."""
        return sum(cost.left_out for cost in self._costs())

    def _costs(self) -> Iterable[Cost]:
        for category in self.categories:
            yield from (one.cost for one in category.asked)
            yield from (one.cost for one in category.left_out)


@dataclass
class _Choice:
    asked: dict[str, tuple[Decision, str | None]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def induce(products: Callable[[], Iterable[Entry]], limits: Limits | None = None) -> Induction:
    """The schema of a catalog.

    Args:
        products: gives the products from the first on, as often as it is called (twice).
        limits: from where on what is decided.
    """
    limits = limits or Limits()
    counted = tally(products(), limits)
    families = _Decisions(counted)
    choices = {name: families.choose(name) for name in counted.categories}
    schemas = {
        name: CategorySchema(
            category=name, attributes=tuple(d.attribute for d, _ in choice.asked.values())
        )
        for name, choice in choices.items()
    }
    spent = costs(products(), schemas)
    return Induction(
        tuple(
            _category(schemas[name], counted.categories[name], choice, spent)
            for name, choice in choices.items()
        ),
        counted.unseen,
    )


def _category(
    schema: CategorySchema, counted: Category, choice: _Choice, spent: Costs
) -> InducedCategory:
    def cost(name: str) -> Cost:
        return spent.get((schema.category, name), Cost())

    def filled(name: str) -> float:
        counts = counted.attributes.get(name)
        return 0.0 if counts is None else counts.products / counted.products

    return InducedCategory(
        schema,
        counted.products,
        tuple(
            Asked(decision, taken_from, filled(name), cost(name))
            for name, (decision, taken_from) in choice.asked.items()
        ),
        tuple(LeftOut(name, why, cost(name)) for name, why in choice.left_out.items()),
    )


class _Decisions:
    """What is decided of each attribute, of categories and of their parents."""

    def __init__(self, counted: Tally) -> None:
        self._tally = counted
        self._limits = counted.limits
        self._families = Families(counted)
        self._of_parents: dict[tuple[str, str], Decision] = {}

    def choose(self, name: str) -> _Choice:
        """What a category asks for, most filled first, and what it does not."""
        category, limits = self._tally.categories[name], self._limits
        parent = self._parent_of_small(name, category)
        choice = _Choice()
        for attribute in self._candidates(category, parent):
            counts = category.attributes.get(attribute)
            have = 0 if counts is None else counts.products
            fault = _name_fault(attribute)
            if fault is None and counts is not None and have < limits.filled * category.products:
                fault = f"{have} of {category.products} products have it"
            if fault is not None:
                choice.left_out[attribute] = fault
            else:
                choice.asked[attribute] = self._decide(name, category, attribute)
        return choice

    def _candidates(self, category: Category, parent: str | None) -> list[str]:
        """The attributes that the category has, most filled first, then what is common in the
        parent of a small one."""
        own = category.attributes
        names = sorted(own, key=lambda name: -own[name].products)
        if parent is not None:
            names += [name for name in self._families.common(parent) if name not in own]
        return [name for name in names if not is_cut(name)]

    def _parent_of_small(self, name: str, category: Category) -> str | None:
        """The nearest parent that has enough products, where the category has not."""
        if category.products >= self._limits.enough:
            return None
        enough = self._limits.enough
        return next((p for p in parents(name) if self._families.products(p) >= enough), None)

    def _decide(self, name: str, category: Category, attribute: str) -> tuple[Decision, str | None]:
        """By the category's own values where they are enough, else by those of a parent, unless
        these are other rules or none."""
        own, limits = category.attributes.get(attribute), self._limits
        if own is not None and own.products >= limits.enough:
            return decide(attribute, own, limits), None
        for parent in parents(name):
            if self._families.filled(parent).get(attribute, 0) < limits.enough:
                continue
            taken = self._of_parent(parent, attribute)
            if own is None:
                return taken, parent
            decided = decide(attribute, own, limits)
            if own.total >= limits.fewest and _is_text(taken) and not _is_text(decided):
                why = f"{decided.why}; in {parent} it would be a text"
                return Decision(decided.attribute, why), None
            share = legal_share(taken.attribute, own.values)
            if share >= limits.own:
                return taken, parent
            why = f"{decided.why}; the rules of {parent} would be right for {share:.0%} of them"
            return Decision(decided.attribute, why), None
        assert own is not None, "what a category lacks is common in a parent that has enough"
        return decide(attribute, own, limits), None

    def _of_parent(self, parent: str, attribute: str) -> Decision:
        key = parent, attribute
        if key not in self._of_parents:
            counts = self._families.counts(parent, attribute)
            self._of_parents[key] = decide(attribute, counts, self._limits)
        return self._of_parents[key]


def _is_text(decision: Decision) -> bool:
    return decision.attribute.type is AttributeType.TEXT


def _name_fault(name: str) -> str | None:
    """Why no schema can have an attribute of this name."""
    if not name or name != name.strip() or "\n" in name:
        return "its name is not one line without space at its ends"
    if len(name) > MAX_NAME_LENGTH:
        return f"its name is longer than {MAX_NAME_LENGTH} characters"
    return None


__all__ = ["Asked", "InducedCategory", "Induction", "LeftOut", "induce"]
