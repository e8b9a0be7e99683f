"""The form that codes have in common: `NV-1700` and `KX-820` are `[A-Z]{2}-[0-9]{3,4}`."""

import re
from collections.abc import Mapping

from schemas.category import DEFAULT_TEXT_LENGTH, IDENTIFIERS, MAX_PATTERN_LENGTH

MOST_RUNS = 12
LONGEST_CODE = DEFAULT_TEXT_LENGTH
# All but white space and what parts values, with a digit; its runs of one class or character.
_CODE = re.compile(r"(?=[^0-9]*[0-9])[!-{}~]+")
_RUN = re.compile(r"[0-9]+|[A-Z]+|[a-z]+|(.)\1*")
Form = tuple[str, ...]
"""The runs of a code: a class of characters, or the character itself where it is of none."""


def pattern_of(values: Mapping[str, int]) -> tuple[str, int] | None:
    """The regular expression of the form that most values have, and how many have it; None where
    they are no codes. A code has digits and no space."""
    lengths: dict[Form, list[list[int]]] = {}
    times: dict[Form, int] = {}
    for value, count in values.items():
        if len(value) > LONGEST_CODE or not _CODE.fullmatch(value):
            continue
        runs = [(_kind(run[0][0]), len(run[0])) for run in _RUN.finditer(value)]
        if len(runs) > MOST_RUNS:
            continue
        form = tuple(kind for kind, _ in runs)
        times[form] = times.get(form, 0) + count
        seen = lengths.setdefault(form, [[] for _ in form])
        for lengths_of_run, (_, length) in zip(seen, runs, strict=True):
            lengths_of_run.append(length)
    if not times:
        return None
    form = max(times, key=lambda one: times[one])
    pattern = "".join(
        (kind if kind.startswith("[") and len(kind) > 1 else re.escape(kind)) + _times(seen)
        for kind, seen in zip(form, lengths[form], strict=True)
    )
    return (pattern, times[form]) if len(pattern) <= MAX_PATTERN_LENGTH else None


def is_named_identifier(name: str) -> bool:
    """Whether an attribute's name says that it is an identifier: `EAN`, `Manufacturer SKU`."""
    return not IDENTIFIERS.isdisjoint(re.split(r"[\W_\d]+", name.casefold()))


def _kind(character: str) -> str:
    """Its class, or itself."""
    if character.isalnum():
        return "[0-9]" if character.isdigit() else "[A-Z]" if character.isupper() else "[a-z]"
    return character


def _times(lengths: list[int]) -> str:
    least, most = min(lengths), max(lengths)
    if least == most:
        return "" if least == 1 else f"{{{least}}}"
    return f"{{{least},{most}}}"
