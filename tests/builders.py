"""Labelled listings that several rooms' tests use, few enough to train on in seconds."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import duckdb

from schemas.category import Attribute, AttributeType
from schemas.events import ManifestFile, ValueLists
from serving.generation import Generator
from serving.listing import Listing
from trainer.data.dataset import Row, file_hash
from trainer.judging.asking import answers, question
from trainer.judging.evaluate import Evaluation, EvaluationKey, scored

COLOURS = ("red", "blue", "green")
MATERIALS = ("steel", "glass", "wood", "plastic")

ATTRIBUTES = (
    Attribute(name="colour", type=AttributeType.ENUM, values=COLOURS),
    Attribute(name="material", type=AttributeType.ENUM, values=MATERIALS),
    Attribute(name="weight", type=AttributeType.NUMBER, units=("g", "kg")),
    Attribute(name="washable", type=AttributeType.BOOLEAN),
    Attribute(name="uses", type=AttributeType.TEXT, multi_value=True),
)


def make_rows(count: int, seed: int = 0) -> list[Row]:
    """Listings whose text tells colour and material; every third leaves `washable` blank.

    Of two seeds none is the same, and no title is like another.
    """
    rng = random.Random(seed)
    return [_row(rng, seed, number) for number in range(count)]


def evaluated(generator: Generator, rows: Sequence[Row], key: EvaluationKey) -> Evaluation:
    """The scores of `generator`, asked about `rows` one after the other."""
    results = answers(generator, rows, lambda row: question(row, key))
    return scored(key, rows, results, sum(result.seconds for result in results), in_flight=1)


def write_manifest(rows: Sequence[Row], path: Path, role: str = "train") -> ManifestFile:
    """`rows` as Parquet, nested columns as JSON text."""
    source = path.with_suffix(".json")
    nested = ("attributes", "values", "origins", "images", "pictures")
    records = [
        {k: json.dumps(v) if k in nested else v for k, v in record(row).items()} for row in rows
    ]
    source.write_text(json.dumps(records))
    types = ", ".join(f"{name}: 'VARCHAR'" for name in records[0])
    duckdb.execute(
        f"COPY (SELECT * FROM read_json('{source}', columns={{{types}}})) TO '{path}' "
        "(FORMAT parquet)"
    )
    return ManifestFile(role=role, path=str(path), sha256=file_hash(path), rows=len(rows))  # type: ignore[arg-type]


def write_heldout(rows: Sequence[Row], path: Path) -> Path:
    """`rows` as JSON, one a line."""
    path.write_text("".join(json.dumps(record(row)) + "\n" for row in rows))
    return path


def record(row: Row) -> dict[str, Any]:
    """A row as its columns."""
    listing = row.listing
    return {
        "listing_id": listing.listing_id,
        "category": listing.category,
        "title": listing.title,
        "description": listing.description,
        "attributes": [a.model_dump(mode="json") for a in row.attributes],
        "values": row.values,
        "origins": dict(row.origins),
        "images": list(listing.images),
        "pictures": list(row.pictures),
    }


def _row(rng: random.Random, seed: int, number: int) -> Row:
    colour, material = rng.choice(COLOURS), rng.choice(MATERIALS)
    values: ValueLists = {
        "colour": [colour],
        "material": [material],
        "weight": [f"{rng.randint(1, 900)} g"],
        "uses": ["tea", "soup"][: rng.randint(1, 2)],
    }
    if number % 3:
        values["washable"] = [rng.choice(["yes", "no"])]
    words = " ".join(rng.choices(["round", "light", "kitchen", "gift"], k=number % 3 + 1))
    name = "".join(random.Random(f"{seed}/{number}").choices(ascii_lowercase, k=12))
    own = f"s{seed}-l{number}" if seed else f"l{number}"
    return Row(
        listing=Listing(own, "Mugs", f"{colour} mug {name}", f"A {material} mug. {words}"),
        attributes=ATTRIBUTES,
        values=values,
    )
