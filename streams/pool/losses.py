"""What a change of the category schemas loses of a pool: values that were legal and are not.

Nothing is written: a change is asked about before it is taken over (`listune schemas check`), and
said when a worker takes it over. Of each listing the review that its samples are made of counts.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.category import CategorySchemas
from schemas.changes import Change, Kind, Place, changes
from schemas.values import is_valid, mend

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs one statement on a pool, here or in another process, and gives its rows."""

NAMED = 5
"""Losses that `in_words` names; the others are counted."""

# Of `about`: a category under a name that it has or had, and an attribute of it; NULL for all.
_STORED = """
WITH about AS (SELECT unnest(from_json('{about}', '[["VARCHAR"]]')) AS place),
reviewed AS (
    SELECT r.category, r.submitted FROM store.reviews r
    SEMI JOIN store.samples s ON s.review_id = r.review_id
    SEMI JOIN about a ON a.place[1] = r.category
)
SELECT category, NULL AS attribute, NULL AS submitted, count(*) FROM reviewed GROUP BY category
UNION ALL
SELECT r.category, e.key, e.value::VARCHAR, count(*) FROM reviewed r, json_each(r.submitted) e
WHERE EXISTS (FROM about WHERE place[1] = r.category AND coalesce(place[2] = e.key, true))
GROUP BY ALL
"""


@dataclass(frozen=True)
class Loss:
    """A change, and what it loses of the pool; `listings` are told of a category only."""

    change: Change
    values: int
    listings: int

    def __str__(self) -> str:
        (category, attribute), gone = self.change.place, self.change.kind is Kind.GONE
        if attribute is None:
            how = "is gone" if gone else "has lost a former name"
            return f"category {category!r} {how}: {self.values} values, {self.listings} listings"
        how = "is gone" if gone else "refuses what it allowed"
        return f"category {category!r}, attribute {attribute!r} {how}: {self.values} values"


def losses(ask: Ask, before: CategorySchemas, after: CategorySchemas) -> list[Loss]:
    """Each change from `before` to `after`, and what it loses; most lose nothing."""
    found = changes(before, after)
    about = [place for change in found for place in _stored_as(change, before)]
    values: Counter[Place] = Counter()
    listings: Counter[Place] = Counter()
    literal = json.dumps(about).replace("'", "''")
    for stored, name, submitted, count in ask(_STORED.format(about=literal)) if about else ():
        former, schema = before.by_any_name[stored], after.find(stored)
        if name is None:
            listings[former.category, None] += 0 if schema else count
            continue
        attribute, given = former.find(name), json.loads(submitted)
        if attribute is None or not is_valid(attribute, mend(attribute, given)):
            continue
        now = schema.find(name) if schema else None
        if now is None or not is_valid(now, mend(now, given)):
            values[former.category, attribute.name if schema else None] += count
    return [
        Loss(change, values[change.before], listings[change.before])
        if change.before and change.kind in (Kind.GONE, Kind.CHANGED)
        else Loss(change, 0, 0)
        for change in found
    ]


def in_words(found: Iterable[Loss]) -> str:
    """What is lost, as one line; empty where nothing is."""
    lost = sorted((one for one in found if one.values), key=lambda one: -one.values)
    more = f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return "; ".join(map(str, lost[:NAMED])) + more


def _stored_as(change: Change, before: CategorySchemas) -> list[Place]:
    """Under which names the pool has what `change` may lose."""
    if change.before is None or change.kind not in (Kind.GONE, Kind.CHANGED):
        return []
    category, name = change.before
    schema = before[category]
    names = (None,) if name is None else schema.by_name[name].names
    return [(category, name) for category in schema.names for name in names]
