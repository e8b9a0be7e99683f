"""Each room's `__init__` is its map: it names every module that another room imports.

A room is a folder with an `__init__`; a folder inside it that has its own is another room. A map
names a module by its full dotted name between backticks, as `streams.producer`.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
HOUSE = ("schemas", "serving", "streams", "trainer", "infra")

Users = dict[str, set[str]]
"""The rooms that import a module, by the module."""


@cache
def files(root: Path) -> dict[str, Path]:
    """Every module and room to its file, by dotted name."""
    found = [file for top in HOUSE for file in (root / top).rglob("*.py")]
    return {dotted(file.relative_to(root)): file for file in found}


def dotted(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if file.name == "__init__.py" else parts)


def rooms(root: Path) -> list[str]:
    return sorted(name for name, file in files(root).items() if file.name == "__init__.py")


def room_of(module: str, root: Path) -> str:
    """The innermost room that a module is in; the module itself where it is one."""
    while module not in rooms(root):
        module = module.rpartition(".")[0]
    return module


def imported(file: Path) -> Iterator[str]:
    """What a file imports, as dotted names; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{file} has a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def users(root: Path) -> Users:
    """Of every module that is no room, the rooms other than its own that import it."""
    found: Users = defaultdict(set)
    modules = files(root).keys() - rooms(root)
    for name, file in files(root).items():
        for module in modules.intersection(imported(file)):
            if (user := room_of(name, root)) != room_of(module, root):
                found[module].add(user)
    return found


def named(room: str, root: Path) -> set[str]:
    """The dotted names between backticks in the docstring of a room that begin as a room does."""
    docstring = ast.get_docstring(ast.parse(files(root)[room].read_text(encoding="utf-8"))) or ""
    return set(re.findall(rf"`((?:{'|'.join(HOUSE)})(?:\.\w+)+)`", docstring))


def unnamed(room: str, root: Path) -> dict[str, list[str]]:
    """What other rooms import from a room that its map does not name, with those rooms."""
    owned = {module for module in users(root) if room_of(module, root) == room}
    return {module: sorted(users(root)[module]) for module in sorted(owned - named(room, root))}


@pytest.mark.parametrize("room", rooms(REPOSITORY))
def test_the_map_of_a_room_names_what_other_rooms_import(room: str) -> None:
    assert unnamed(room, REPOSITORY) == {}, f"name these modules in {files(REPOSITORY)[room]}"


@pytest.mark.parametrize("room", rooms(REPOSITORY))
def test_the_map_of_a_room_names_only_modules_that_are_there(room: str) -> None:
    assert named(room, REPOSITORY) <= files(REPOSITORY).keys()


def test_a_module_that_a_map_leaves_out_and_one_that_is_gone_are_found(tmp_path: Path) -> None:
    house = {
        "streams/__init__.py": '"""`streams.gone`, and `streams.said`."""',
        "streams/said.py": "",
        "streams/unsaid.py": "from streams import own",
        "streams/own.py": "",
        "streams/pool/__init__.py": "",
        "streams/pool/store.py": "from streams import said, unsaid",
        "infra/__init__.py": "import streams.unsaid\nfrom streams.pool.store import Pool",
    }
    for name, content in house.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert unnamed("streams", tmp_path) == {"streams.unsaid": ["infra", "streams.pool"]}
    assert unnamed("streams.pool", tmp_path) == {"streams.pool.store": ["infra"]}
    assert named("streams", tmp_path) - files(tmp_path).keys() == {"streams.gone"}
