"""What was left out of a file of products, as it stands in `…rejected.jsonl`."""

from dataclasses import asdict, dataclass
from typing import Any

LONGEST_SHOWN = 80
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Rejected:
    """A row or a value that was left out; `attribute` None means the whole row."""

    file: str
    line: int
    product_id: str | None
    attribute: str | None
    value: str | None
    reason: str
    category: str | None = None

    def entry(self) -> dict[str, Any]:
        """As it is written to `…rejected.jsonl`; the category only where it is known."""
        entry = asdict(self)
        if self.category is None:
            del entry["category"]
        return entry
