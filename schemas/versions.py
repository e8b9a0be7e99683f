"""The category schemas in force, and the few before them, for what is still under way.

Whoever asked under a schema knows its attributes and its values, and no others: when the schema
changes, requests and reviews of the one before are on their way. So a hash finds the schema that it
was made under, for as long as that is among the last `KEPT`. Plain data, no I/O.
"""

from collections import deque

from schemas.category import CategorySchema, CategorySchemas

# Enough for edits made one after another; bounded, because each may be a marketplace's whole form.
KEPT = 5


class SchemaVersions:
    """The schemas in force (`current`), and those that they replaced.

    One thread replaces; others may read meanwhile.
    """

    def __init__(self, schemas: CategorySchemas) -> None:
        self.current = schemas
        self._former: deque[CategorySchemas] = deque(maxlen=KEPT)

    def replace(self, schemas: CategorySchemas) -> None:
        """From now on `schemas` are in force."""
        # What did not change stays the same object, whose hash is known and which is there once.
        shared = [self.made_under(name, schema.hash) or schema for name, schema in schemas.items()]
        self._former.appendleft(self.current)
        self.current = CategorySchemas(shared)

    def made_under(self, category: str, hash_: str) -> CategorySchema | None:
        """The schema with this hash of the category that is, or was before, called `category`;
        in force or replaced, None for any other. An empty hash means the one in force."""
        if not hash_:
            return self.current.find(category)
        for schemas in (self.current, *tuple(self._former)):
            schema = schemas.find(category)
            if schema is not None and schema.hash == hash_:
                return schema
        return None


def changed_categories(before: CategorySchemas, after: CategorySchemas) -> list[str]:
    """The categories that are in one only, or whose schemas differ, by name."""
    return sorted(
        name
        for name in {*before, *after}
        if name not in before or name not in after or before[name].hash != after[name].hash
    )
