"""A shop's export, made up: what a newcomer would have, to try the three commands on.

Run as `python -m infra.lab.importing.shop --rows 500 --out shop.csv`. The file has the form of
Shopify's product export: a row for each variant, of which the first has title, HTML and metafields,
and rows that have but a picture. The texts say most of the values, in their own words; cells are
empty, spelled in several ways, or wrong, as in any shop. The same rows and seed give the same file.
"""

import csv
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import typer

HEADER = (
    "Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published",
    "Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Variant SKU",
    "Variant Grams", "Variant Inventory Qty", "Variant Price", "Variant Barcode", "Image Src",
    "Image Position", "Image Alt Text", "Status",
)  # fmt: skip
METAFIELD = "{name} (product.metafields.custom.{key})"
UNSAID, EMPTY, ODD, UNTITLED, SECOND_PICTURE = 0.12, 0.08, 0.06, 0.01, 0.1
"""Shares: of values that the text does not say, of empty cells, of cells that are odd, and of
products without a title or picture and of those that have a row for one more picture."""
ODD_CATEGORY = 40
"""Each so many-th product has its category in lower case."""
COLORS = (
    "Black", "White", "Sand", "Navy", "Forest green", "Terracotta", "Light grey", "Mustard",
    "Dusty pink", "Petrol",
)  # fmt: skip
VENDORS = ("Halden & Co", "Tonwerk", "Fjellvik", "Atelier Roux", "Brightside", "Kesselhaus")
FIRST, VOWELS, LAST = "bdfghjklmnprstvwz", "aeiouy", ("", "", "l", "n", "r", "s", "th", "x", "nd")
TITLES = (
    "{name} {adjective} {noun}", "{adjective} {noun} {name}", "{noun} {name}, {adjective}",
    "{name}: {adjective} {noun}",
)  # fmt: skip
OPENINGS = (
    "Made for every day.", "A quiet piece that lasts.", "Our makers finish each one by hand.",
    "Designed in the north, used everywhere.", "Small batch, large love.",
)  # fmt: skip
CLOSINGS = (
    "Ships in recycled card.", "Two years of warranty.", "Wipe with a damp cloth.",
    "Please allow for slight variations in tone.", "Gift wrapping on request.",
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """An attribute: its values, how a text says one, and whether it is an option of variants."""

    name: str
    values: tuple[str, ...]
    says: tuple[str, ...]
    option: bool = False


@dataclass(frozen=True)
class Kind:
    """What is sold in one category."""

    category: str
    noun: str
    adjectives: tuple[str, ...]
    fields: tuple[Field, ...]


def _numbers(low: int, high: int, step: int, unit: str) -> tuple[str, ...]:
    return tuple(f"{n} {unit}" for n in range(low, high + 1, step))


YES_NO = ("Yes", "No")
COLOR = Field("Color", COLORS, ("comes in {value}", "glazed or dyed in {value}"), option=True)
KINDS = (
    Kind(
        "Home & Garden > Kitchen & Dining > Mugs",
        "mug",
        ("handmade", "stackable", "tall", "wide", "ribbed", "speckled"),
        (
            COLOR,
            Field(
                "Material",
                ("Stoneware", "Porcelain", "Enamel", "Glass", "Bone china"),
                ("of {value}", "made from {value}"),
            ),
            Field("Capacity", _numbers(180, 480, 20, "ml"), ("holds {value}", "{value} fit in")),
            Field("Dishwasher safe", YES_NO, ("dishwasher safe: {value}",)),
        ),
    ),
    Kind(
        "Home & Garden > Decor > Cushions",
        "cushion",
        ("soft", "striped", "quilted", "plain", "tufted", "fringed"),
        (
            COLOR,
            Field(
                "Size",
                ("30 x 50 cm", "40 x 40 cm", "45 x 45 cm", "50 x 50 cm", "60 x 60 cm"),
                ("measures {value}", "{value} in size"),
                option=True,
            ),
            Field(
                "Cover material",
                ("Linen", "Cotton", "Velvet", "Wool", "Corduroy"),
                ("the cover is {value}", "covered in {value}"),
            ),
            Field(
                "Filling",
                ("Feathers", "Polyester", "Kapok", "Foam"),
                ("filled with {value}", "{value} inside"),
            ),
        ),
    ),
    Kind(
        "Furniture > Shelving > Wall Shelves",
        "shelf",
        ("floating", "narrow", "deep", "slatted", "folding", "corner"),
        (
            Field("Finish", ("Oiled", "Waxed", "Lacquered", "Untreated"), ("{value}",), True),
            Field(
                "Wood",
                ("Oak", "Walnut", "Ash", "Pine", "Beech", "Bamboo"),
                ("solid {value}", "sawn from {value}"),
            ),
            Field("Width", _numbers(40, 160, 10, "cm"), ("{value} wide", "spans {value}")),
            Field(
                "Load capacity", _numbers(5, 40, 5, "kg"), ("bears {value}", "takes up to {value}")
            ),
        ),
    ),
    Kind(
        "Home & Garden > Lighting > Table Lamps",
        "lamp",
        ("dimmable", "adjustable", "small", "arched", "bedside", "industrial"),
        (
            COLOR,
            Field(
                "Shade material",
                ("Brass", "Linen", "Opal glass", "Paper", "Steel"),
                ("with a shade of {value}", "{value} shade"),
            ),
            Field("Socket", ("E14", "E27", "GU10", "G9"), ("takes a bulb for {value}",)),
            Field("Height", _numbers(20, 70, 5, "cm"), ("{value} high", "stands {value} tall")),
            Field("Power", _numbers(5, 60, 5, "W"), ("at most {value}", "up to {value}")),
        ),
    ),
    Kind(
        "Apparel & Accessories > Clothing > Shirts",
        "shirt",
        ("washed", "collarless", "boxy", "checked", "oversized", "pleated"),
        (
            COLOR,
            Field("Size", ("XS", "S", "M", "L", "XL"), ("size {value}",), option=True),
            Field(
                "Fabric",
                ("Linen", "Cotton", "Flannel", "Tencel", "Hemp"),
                ("woven from {value}", "pure {value}"),
            ),
            Field(
                "Sleeve length", ("Short sleeve", "Long sleeve", "3/4 sleeve"), ("cut in {value}",)
            ),
            Field("Washable at", ("30 °C", "40 °C", "60 °C"), ("wash at {value}",)),
        ),
    ),
)
METAFIELDS = tuple(
    dict.fromkeys(field.name for kind in KINDS for field in kind.fields if not field.option)
)
COLUMNS = (
    *HEADER,
    *(METAFIELD.format(name=n, key=n.lower().replace(" ", "_")) for n in METAFIELDS),
)


def rows(count: int, seed: int = 7) -> Iterator[dict[str, str]]:
    """The first `count` rows of the shop's export, by column; empty cells are left out."""
    return islice(_all(random.Random(seed)), count)


def _all(chance: random.Random) -> Iterator[dict[str, str]]:
    number = 0
    while True:
        number += 1
        yield from _product(number, KINDS[number % len(KINDS)], chance)


def _product(number: int, kind: Kind, chance: random.Random) -> Iterator[dict[str, str]]:
    """The rows of one product."""
    fixed = {field: chance.choice(field.values) for field in kind.fields if not field.option}
    options = {
        field: chance.sample(field.values, chance.randint(1, 2))
        for field in kind.fields
        if field.option
    }
    name = f"{_word(chance)} {_word(chance)}"
    vendor, adjective = chance.choice(VENDORS), chance.choice(kind.adjectives)
    title = chance.choice(TITLES).format(name=name, adjective=adjective, noun=kind.noun)
    handle = "-".join(re.findall(r"\w+", title.lower()))
    product = {
        "Title": title if chance.random() > UNTITLED else "",
        "Body (HTML)": _html(f"{name} {kind.noun} by {vendor}", fixed, options, chance),
        "Vendor": vendor,
        "Product Category": kind.category.lower() if number % ODD_CATEGORY == 0 else kind.category,
        "Type": kind.noun.capitalize(),
        "Tags": f"new, {kind.noun}",
        "Published": "true",
        "Image Src": f"https://cdn.example/{handle}-1.jpg",
        "Image Position": "1",
        "Status": "active",
    }
    if not product["Title"]:
        del product["Image Src"], product["Image Position"]  # with one it would be a product
    for field, value in fixed.items():
        if chance.random() > EMPTY:
            key = field.name.lower().replace(" ", "_")
            product[METAFIELD.format(name=field.name, key=key)] = _odd(value, chance)
    for place, variant in enumerate(_variants(list(options.items()))):
        cells = {"Handle": handle} | (product if place == 0 else {})
        for n, (field, value) in enumerate(variant, 1):
            if place == 0:
                cells[f"Option{n} Name"] = field.name
            cells[f"Option{n} Value"] = _odd(value, chance)
        yield cells | {
            "Variant SKU": f"SH-{number:04d}-{place + 1}",
            "Variant Grams": str(chance.randint(2, 60) * 50),
            "Variant Inventory Qty": str(chance.randint(0, 40)),
            "Variant Price": f"{chance.randint(9, 199)}.90",
        }
    if chance.random() < SECOND_PICTURE:
        yield {
            "Handle": handle,
            "Image Src": f"https://cdn.example/{handle}-2.jpg",
            "Image Position": "2",
        }


def _word(chance: random.Random) -> str:
    """A name that no other product is likely to have."""
    parts = (chance.choice(FIRST) + chance.choice(VOWELS) + chance.choice(LAST) for _ in range(3))
    return "".join(parts).capitalize()


def _variants(
    options: Sequence[tuple[Field, Sequence[str]]],
) -> Iterator[list[tuple[Field, str]]]:
    if not options:
        yield []
        return
    field, values = options[0]
    for value in values:
        for rest in _variants(options[1:]):
            yield [(field, value), *rest]


def _html(
    name: str,
    fixed: dict[Field, str],
    options: dict[Field, list[str]],
    chance: random.Random,
) -> str:
    """What the shop says of the product: most of its values, some as sentences, some as a list."""
    said = [
        chance.choice(field.says).format(value=value.lower() if field.name != "Socket" else value)
        for field, value in fixed.items()
        if chance.random() > UNSAID
    ]
    said += [
        f"{field.name.lower()}: {' or '.join(values)}"
        for field, values in options.items()
        if chance.random() > UNSAID
    ]
    chance.shuffle(said)
    half = (len(said) + 1) // 2
    items = "".join(f"<li>{one}</li>\n" for one in said[half:])
    return (
        f"<p>{chance.choice(OPENINGS)} The {name}: {', '.join(said[:half])}.</p>\n"
        + (f"<ul>\n{items}</ul>\n" if items else "")
        + f"<p>{chance.choice(CLOSINGS)}&nbsp;&amp; thanks for looking.</p>"
    )


def _odd(value: str, chance: random.Random) -> str:
    """Now and then a value as somebody else would have typed it, or none."""
    if chance.random() > ODD:
        return value
    if value[0].isdigit():
        return chance.choice((value.replace(" ", ""), value.split()[0], "n/a"))
    return chance.choice((value.upper(), f" {value} ", "n/a"))


def write(count: int, out: Path, seed: int = 7) -> None:
    """Write the export of `count` rows to `out`, as UTF-8 with commas."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows(count, seed))


def main(
    rows: int = typer.Option(500, min=1, help="rows under the header"),
    out: Path = typer.Option(Path("shop.csv"), help="the file to write"),
    seed: int = typer.Option(7, help="another seed makes another shop"),
) -> None:
    """Make up the export of a shop."""
    write(rows, out, seed)


if __name__ == "__main__":
    typer.run(main)
