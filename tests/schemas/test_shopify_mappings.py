"""A new release of the Shopify taxonomy, and its own files of what categories became."""

import json
from pathlib import Path

import pytest

from schemas.errors import SchemaError
from schemas.sources.shopify_source import read_shopify
from tests.schemas.sources.reading import written
from tests.schemas.test_shopify import FILES

GID = "gid://shopify/TaxonomyCategory/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "categories").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_text(content)
    return folder


def rule(before: tuple[str, str], *after: str) -> dict[str, object]:
    """As the taxonomy's JSON has it: id and full name of before, the ids of now."""
    return {
        "input": {"category": dict(zip(("id", "full_name"), before, strict=True))},
        "output": {"category": [{"id": GID + one, "full_name": "…"} for one in after]},
    }


def in_json(path: Path, *rules: object, output: str = "shopify/2025-09") -> Path:
    mapping = {"input_taxonomy": "shopify/2024-10", "output_taxonomy": output, "rules": rules}
    path.write_text(json.dumps({"version": "2025-09", "mappings": [mapping]}))
    return path


def in_yaml(folder: Path, names: dict[str, str], moved: dict[str, list[str]]) -> Path:
    """As the taxonomy's own data has it: rules of ids, and the release's names beside them."""
    (folder / "mappings").mkdir(parents=True)
    lines = [f"- id: {one}\n  full_name: {name}\n" for one, name in names.items()]
    (folder / "full_names.yml").write_text("---\n" + "".join(lines))
    rules = [
        f"- input:\n    product_category_id: {one}\n  output:\n    product_category_id: {after}\n"
        for one, after in moved.items()
    ]
    path = folder / "mappings" / "to_shopify.yml"
    path.write_text("---\ninput_taxonomy: shopify/2025-09\nrules:\n" + "".join(rules))
    return path


def aliases(folder: Path, *mappings: Path) -> dict[str, tuple[str, ...]]:
    """Of each category, as the schema file made of the taxonomy has them."""
    schemas, _ = written(read_shopify(folder, mappings=mappings), folder)
    return {name: schema.aliases for name, schema in schemas.items()}


def test_a_category_has_the_names_that_the_mapping_says_it_had(folder: Path) -> None:
    file = in_json(
        folder / "m.json",
        rule(("aa-9", "House > Lights"), "aa-1"),
        rule(("aa-8", "House > Lanterns"), "aa-1"),
    )
    assert aliases(folder, file) == {
        "Home": (),
        "Home > Lamps": ("House > Lanterns", "House > Lights"),
    }


def test_rules_of_ids_find_the_names_beside_them_and_names_that_changed(folder: Path) -> None:
    file = in_yaml(
        folder / "2025-09",
        {"aa": "House", "aa-1": "House > Lamps", "aa-7": "House > Torches", "7": "Old"},
        {"aa-7": ["aa-1"], "7": ["aa-1"]},
    )
    assert aliases(folder, file) == {
        "Home": ("House",),
        "Home > Lamps": ("House > Lamps", "House > Torches", "Old"),
    }


def test_what_was_split_or_is_in_force_or_went_is_no_alias(folder: Path) -> None:
    file = in_json(
        folder / "m.json",
        rule(("aa-9", "House > Split"), "aa", "aa-1"),
        rule(("aa-8", "Home"), "aa-1"),
        rule(("aa-7", "House > Nowhere"), "zz-1"),
        rule(("aa-6", "House > Nothing")),
    )
    assert set(aliases(folder, file).values()) == {()}


def test_two_releases_are_bridged_by_the_files_of_both(folder: Path) -> None:
    first = in_json(folder / "1.json", rule(("aa-9", "House > Lights"), "aa-5"))
    second = in_json(folder / "2.json", rule(("aa-5", "House > Lamps"), "aa-1"))
    names = aliases(folder, second, first)["Home > Lamps"]
    assert names == ("House > Lamps", "House > Lights")


def test_mappings_to_other_marketplaces_are_passed_over(folder: Path) -> None:
    file = in_json(
        folder / "m.json", rule(("aa-9", "House > Lights"), "aa-1"), output="google/2021-09-21"
    )
    assert set(aliases(folder, file).values()) == {()}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "has neither `mappings` nor `rules`"),
        ("{mappings: [{a: 1}]}", "has no `rules`"),
        ("{rules: [{input: {}, output: {}}]}", "the rule .* maps no category to others"),
        ("{rules: []}", r"full_names\.yml: No such file"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_a_sentence(
    folder: Path, content: str, words: str
) -> None:
    file = folder / "m.yml"
    file.write_text(content)
    with pytest.raises(SchemaError, match=words):
        read_shopify(folder, mappings=[file])
