"""What the tests of sources share: a source built, written and read back as a schema file."""

from pathlib import Path

from schemas.category import CategorySchemas
from schemas.sources.building import Built, build, write_built
from schemas.sources.json_schema import read_schemas
from schemas.sources.selecting import all_of
from schemas.sources.source import Source


def written(source: Source, folder: Path) -> tuple[CategorySchemas, Built]:
    """All of `source` as the file has it, and what was counted."""
    built = build(all_of(source), source.left_out)
    file = folder / "written.json"
    write_built(file, built)
    return read_schemas(file), built


def told(built: Built) -> dict[str, int]:
    """How often each reason was counted, `kind reason` each."""
    return {f"{kind} {reason}": n for (kind, reason), n in built.left_out.counts.items()}
