"""What the model sees of a product."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Listing:
    """A product text. `listing_id`, its `listing_key`, seeds the split into batches and is never
    shown to the model."""

    listing_id: str
    category: str
    title: str
    description: str = ""
    images: tuple[str, ...] = field(default=())

    @property
    def has_text(self) -> bool:
        """Whether there is a title or a description to read."""
        return bool(self.title.strip() or self.description.strip())
