"""The files of the Shopify taxonomy as lists and objects; what is wrong with one is a sentence."""

from pathlib import Path
from typing import Any

import yaml

from schemas.errors import SchemaError

# libyaml parses the taxonomy's 4 MB in three seconds, the pure Python loader in half a minute.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def entries(file: Path, content: Any, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """`content` as a list of objects that all have `fields`."""
    if not isinstance(content, list):
        raise SchemaError(f"{file}: should be a list; is it a file of the taxonomy?")
    for number, entry in enumerate(content, 1):
        lacking = [f for f in fields if not isinstance(entry, dict) or f not in entry]
        if lacking:
            label = entry.get("name", number) if isinstance(entry, dict) else number
            raise SchemaError(f"{file}: entry {label!r}: has no `{lacking[0]}`; add it")
    return content


def load(file: Path) -> Any:
    try:
        return yaml.load(file.read_bytes(), _Loader)
    except OSError as error:
        raise SchemaError(f"{file}: {error.strerror}; give the taxonomy's `data` folder") from error
    except yaml.YAMLError as error:
        raise SchemaError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
