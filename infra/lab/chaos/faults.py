"""What is wrong with one event: the kinds of fault, and what all that look for them need."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["lost", "doubled", "unanswered", "failed", "strange"]
KINDS: tuple[Kind, ...] = ("lost", "doubled", "unanswered", "failed", "strange")


@dataclass(frozen=True)
class Fault:
    """One event that is not accounted for, and in a sentence what is wrong with it."""

    kind: Kind
    what: str


def repeated(identities: Iterable) -> list:
    """Those that occur more than once, sorted."""
    return sorted(identity for identity, count in Counter(identities).items() if count > 1)
