"""docs/settings.md, written from the settings models themselves, so that it cannot be wrong.

    python -m infra.settings_reference > docs/settings.md

A test compares the file with `reference_markdown()`. Default, type and meaning stand beside the
fields in the rooms' `settings.py`; what a profile changes stands in `infra/profiles/`.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.settings import PROFILES, Settings

HEAD = """\
# Settings

*Written by `python -m infra.settings_reference > docs/settings.md`; change the models instead.*

Where a value comes from, strongest first:

1. the environment: `LISTUNE_<ROOM>__<NAME>`, such as `LISTUNE_STREAMS__K=50`;
   lists and tables as JSON;
2. the file that `LISTUNE_CONFIG` names, else `listune.toml` in the working folder, where
   `k = 50` stands under `[streams]`;
3. the profile that `LISTUNE_PROFILE` names: `laptop` (taken where none is named) or `paper`;
4. the default.

A value of the wrong type, a name that does not exist in its room and an unknown profile are
each one sentence, and nothing starts.

`listune up` and `listune demo` write what really holds to `settings.json` in the run folder, from
where their processes read it, and all commands that are given in the same working folder. They
choose the addresses and folders of their own parts whatever is set here:
`streams.bootstrap_servers`, `streams.sql_port` and `streams.sql_http_port` (set `local.kafka_port`,
`local.sql_port` and `local.sql_http_port`), the health ports (set those of `local`),
`streams.pool_dir`, `serving.triton_url`, `serving.adapter_store`, `trainer.registry_dir`,
`trainer.work_dir`; the demo also `streams.schema_path`, `streams.max_rounds` and `trainer.seed`.

The columns `laptop` and `paper` are empty where the profile leaves the default.
"""

ROOMS = {
    "serving": "prompt, generation, and the Triton side of it",
    "streams": "Kafka, the pool, the trigger and ad-hoc SQL",
    "trainer": "from a retrain event to a judged adapter",
    "evaluation": "what `listune evaluate` compares with, and what it costs",
    "local": "the stack on this machine",
    "demo": "what `listune demo` plays",
    "history": "a first adapter from historic listings, by `listune bootstrap`",
}
COLUMNS = ("setting", "environment variable", "type", "default", "laptop", "paper", "meaning")
BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}


def reference_markdown() -> str:
    """The page: a table for each room, a row for each setting."""
    profiles = {name: _profile(name) for name in ("laptop", "paper")}
    parts = [HEAD]
    for room, about in ROOMS.items():
        rows = _rows(_model(Settings.model_fields[room]), (room,), profiles)
        parts += [f"\n## {room}: {about}\n\n", _line(COLUMNS), _line(["---"] * len(COLUMNS)), *rows]
    return "".join(parts)


def _rows(
    model: type[BaseModel], path: tuple[str, ...], profiles: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    for name, field in model.model_fields.items():
        place = (*path, name)
        nested = _model(field)
        if nested is not None:
            yield from _rows(nested, place, profiles)
            continue
        cells = [
            f"`{'.'.join(place[1:])}`",
            f"`LISTUNE_{'__'.join(place).upper()}`",
            _type(field),
            _value(field.default),
            *(_value(_find(profile, place)) for profile in profiles.values()),
            field.description or "",
        ]
        yield _line(cells)


def _model(field: FieldInfo) -> Any:
    """The settings model that a field nests; None where it is a plain value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _profile(name: str) -> dict[str, Any]:
    return tomllib.loads((PROFILES / f"{name}.toml").read_text(encoding="utf-8"))


def _find(profile: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    """The profile's value at `place`; `PydanticUndefined` where it leaves the default."""
    value: Any = profile
    for name in place:
        if name not in value:
            return PydanticUndefined
        value = value[name]
    return value


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(limit, attribute):g}"
        for limit in field.metadata
        for kind, (sign, attribute) in BOUNDS.items()
        if isinstance(limit, kind)
    ]
    return ", ".join([_type_name(field.annotation), *bounds])


def _type_name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if origin is tuple:
        return f"list of {_type_name(get_args(kind)[0])}"
    if origin in (Union, UnionType):
        return " or ".join(_type_name(part) for part in get_args(kind))
    if kind is NoneType:
        return "none"
    if issubclass(kind, Enum):
        return " or ".join(f"`{choice.value}`" for choice in kind)
    if issubclass(kind, BaseModel):
        return f"table of {', '.join(kind.model_fields)}"
    words = {
        datetime: "time",
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Path: "path",
    }
    return words[kind]


def _value(value: Any) -> str:
    if value is PydanticUndefined:
        return ""
    if value is None:
        return "none"
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f"`{value}`"


def _line(cells: Any) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    print(reference_markdown(), end="")
