"""A JSON Schema `pattern`, which is searched for, as one that matches the whole value."""

import re

_ALTERNATIVES = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|[()|]")


def whole(pattern: str) -> str:
    """`pattern` as an expression for the whole value: `^[A-Z]+` becomes `[A-Z]+.*`."""
    if _has_alternatives(pattern):
        # `^a|b$` is an `a` at the beginning or a `b` at the end.
        return "|".join(_anchored(one) for one in _parts(pattern))
    return _anchored(pattern)


def _anchored(pattern: str) -> str:
    begins = pattern.startswith("^")
    ends = pattern.endswith("$") and not pattern.endswith("\\$")
    inner = pattern[begins : len(pattern) - ends]
    return f"{'' if begins else '.*'}{inner}{'' if ends else '.*'}"


def _has_alternatives(pattern: str) -> bool:
    return len(_parts(pattern)) > 1


def _parts(pattern: str) -> list[str]:
    """The alternatives at the top of `pattern`."""
    parts, begin, depth = [], 0, 0
    for found in _ALTERNATIVES.finditer(pattern):
        if found[0] in "()":
            depth += 1 if found[0] == "(" else -1
        elif found[0] == "|" and depth == 0:
            parts.append(pattern[begin : found.start()])
            begin = found.end()
    return [*parts, pattern[begin:]]
