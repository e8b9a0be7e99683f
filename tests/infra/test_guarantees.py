"""docs/guarantees.md names a test for each rule, and each test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "guarantees.md").read_text(encoding="utf-8")
RULES = re.findall(r"^\| (.+) \| (.+) \|$", PAGE, re.MULTILINE)


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_rule_has_a_test_and_every_test_named_is_there() -> None:
    rules = [row for row in RULES if row not in (("rule", "test"), ("---", "---"))]
    assert len(rules) > 50
    for rule, named in rules:
        for name in named.split(", "):
            file, _, test = name.partition("::")
            assert test in functions_of(file), f"{rule!r} names {name}"
