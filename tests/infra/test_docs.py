"""The documentation is true: links lead somewhere, examples run, tables agree with the code."""

import ast
import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer.main

from infra.catalogs.catalog import read_catalog
from infra.catalogs.generate import generate
from infra.cli.app import app
from infra.settings import Settings, load_settings
from schemas.category import Attribute, AttributeType
from schemas.decoding import decode
from schemas.events import ListingRequest, ListingReview
from schemas.sources.json_schema import read_schemas
from schemas.values import is_valid
from serving.listing import Listing
from serving.prompt_texts import segment_text, trunk_text
from serving.settings import ServingSettings
from streams.kafka import topics
from streams.pool.file import read_definitions
from streams.settings import StreamsSettings
from streams.sql.guard import VIEWS, SqlGuard
from streams.trials import ArmSettings

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")])
RESULTS = sorted((DOCS / "results").rglob("*.md"))
"""Pages of what was measured once; they name files and settings as these were then."""


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def example(page: str, label: str) -> str:
    """The block that stands under `<!-- example: label -->`."""
    found = re.search(rf"<!-- example: {label} -->\n```\w+\n(.*?)```", text_of(page), re.DOTALL)
    assert found is not None
    return found[1]


# ------------------------------------------------------------------------------------ all pages


@pytest.mark.parametrize("page", [*PAGES, *RESULTS], ids=name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for target in links(page):
        file, _, heading = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), f"{name(page)} links to {target}"
        if heading:
            assert heading in headings(linked), f"{name(page)} links to {target}"


def links(page: Path) -> list[str]:
    """What a page links to in this repository."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:", target)
    ]


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from their words."""
    words = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", word.lower()).replace(" ", "-") for word in words}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_examples_compile_and_import_what_is_there(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8"), "python"):
        compile(block, name(page), "exec")
        imports = (n for n in ast.parse(block).body if isinstance(n, ast.Import | ast.ImportFrom))
        exec("\n".join(map(ast.unparse, imports)), {})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_the_repository_that_a_page_names_are_there(page: Path) -> None:
    for path in named_files(page):
        assert (REPOSITORY / path).is_file(), f"{name(page)} names {path}"


def named_files(page: Path) -> list[str]:
    rooms = "schemas|serving|streams|trainer|infra|tests|docs"
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"))
    return re.findall(rf"(?<![\w/])(?:{rooms})/[\w/]+\.(?:py|md|sql|svg|toml)", text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_that_a_page_names_are_there(page: Path) -> None:
    for line in commands(page):
        words = line.partition("#")[0].split()
        found: Any = typer.main.get_command(app)
        # A group has commands of its own, and may have options of its own before them.
        while hasattr(found, "get_command") and words and not words[0].startswith("-"):
            found = found.get_command(None, words.pop(0))
            assert found is not None, f"{name(page)} has `listune {line}`"
        known = {o for parameter in found.params for o in parameter.opts + parameter.secondary_opts}
        options = {word.strip("[].") for word in words if word.strip("[").startswith("--")}
        assert options <= known | {"--help"}, f"{name(page)} has `listune {line}`"


def commands(page: Path) -> list[str]:
    """What stands after `listune`, up to the end of the line."""
    return re.findall(r"\blistune ([a-z]+\b[^`\n]*)", code(page))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_targets_of_make_that_a_page_names_are_there(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert targets(page) <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)), name(page)


def targets(page: Path) -> set[str]:
    return set(re.findall(r"(?:^|`|\$ )make ([a-z-]+)", code(page), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_settings_that_a_page_names_are_there(page: Path) -> None:
    for room, setting in settings_named(page):
        assert hasattr(getattr(Settings(), room), setting), f"{name(page)}: {room}.{setting}"


def settings_named(page: Path) -> list[tuple[str, str]]:
    """Room and name of each setting."""
    return re.findall(rf"`({'|'.join(Settings.model_fields)})\.(\w+)", code(page))


@pytest.mark.parametrize("find", [links, named_files, commands, targets, settings_named])
def test_the_pages_name_something_of_each_kind(find: Callable[[Path], Collection[object]]) -> None:
    assert sum(len(find(page)) for page in PAGES) > 5, "the pattern that finds them has aged"


def code(page: Path) -> str:
    """What a page shows as code, in its text and in blocks; the words between are left out."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", text, re.MULTILINE | re.DOTALL))


def test_the_readmes_example_fits_the_generated_catalog() -> None:
    block = blocks((REPOSITORY / "README.md").read_text(encoding="utf-8"), "python")[0]
    category = re.findall(r'category="([^"]+)"', block)[0]
    ((attribute, value),) = re.findall(r'"([^"]+)": \["([^"]+)"\]', block)
    schemas, _ = generate(seed=7, count=0)
    assert is_valid(schemas[category].by_name[attribute], [value])


# ------------------------------------------------------------------- how-it-works.md, engine.md


def test_the_table_of_topics_has_every_topic() -> None:
    table = re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \|", text_of("how-it-works.md"), re.MULTILINE)
    specs = topics.topic_specs(StreamsSettings())
    assert sorted(table) == sorted(spec.name for spec in specs)


def test_the_example_prompt_is_what_the_model_reads(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(example("catalog.md", "schema.json"))
    schema = read_schemas(tmp_path / "schema.json")["Kitchen > Kettles"]
    listing = Listing(
        "k1",
        schema.category,
        "Norvik kettle, 1.7 l, black",
        "Switches itself off and keeps your water warm.",
    )
    settings = ServingSettings()
    questions = [segment_text(attribute, settings) for attribute in schema.attributes]
    branches = [f"  ├─ {question}" for question in questions[:-1]] + [f"  └─ {questions[-1]}"]
    wanted = "\n".join([trunk_text(listing, 1000), *branches, ""])
    assert example("engine.md", "prompt") == wanted


# ------------------------------------------------------------------------------------- catalog.md


@pytest.mark.parametrize("alternatives", [False, True])
def test_the_example_catalog_is_read_whole(tmp_path: Path, alternatives: bool) -> None:
    for file in ("schema.json", "products.jsonl"):
        (tmp_path / file).write_text(example("catalog.md", file))
    (tmp_path / "k2.jpg").write_bytes(b"")
    schemas = read_schemas(tmp_path / "schema.json", alternatives)
    attributes = [a for schema in schemas.values() for a in schema.attributes]
    assert {a.type for a in attributes} == set(AttributeType)
    assert any(a.multi_value for a in attributes) is not alternatives
    products, warnings = read_catalog(tmp_path / "products.jsonl", schemas, alternatives)
    assert (len(products), warnings) == (2, [])
    assert products[0].truth.keys() == {a.name for a in attributes}


def test_the_table_of_an_attributes_fields_has_every_field() -> None:
    section = text_of("catalog.md").partition("## Products")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    named = {field for cell in cells for field in re.findall(r"`(\w+)`", cell)}
    assert named == set(Attribute.model_fields)


# ----------------------------------------------------------------------------------------- sql.md


@pytest.fixture(scope="module")
def pool() -> Iterator[duckdb.DuckDBPyConnection]:
    """A pool without a row."""
    with duckdb.connect() as con:
        con.execute(read_definitions())
        yield con


def documented_views() -> dict[str, list[tuple[str, str]]]:
    """View to its columns and their types, as the page has them."""
    part = text_of("sql.md").partition("## The views")[2].partition("\n## ")[0]
    return {
        section.partition("\n")[0]: re.findall(
            r"^\| `(\w+)` \| ([A-Z]+(?:\([^|]+\))?(?:\[\])?) \|", section, re.MULTILINE
        )
        for section in part.split("\n### ")[1:]
    }


def test_the_views_on_the_page_are_those_that_the_guard_lets_through() -> None:
    assert tuple(documented_views()) == VIEWS


@pytest.mark.parametrize("view", VIEWS)
def test_the_columns_on_the_page_are_those_of_the_view(
    pool: duckdb.DuckDBPyConnection, view: str
) -> None:
    described = pool.execute(f"DESCRIBE {view}").fetchall()
    assert documented_views()[view] == [(row[0], row[1]) for row in described]


def test_the_example_queries_are_allowed_and_run(pool: duckdb.DuckDBPyConnection) -> None:
    queries = blocks(text_of("sql.md"), "sql")
    queries += re.findall(r'listune sql "([^"]+)"', text_of("sql.md"))
    assert len(queries) > 4
    guard = SqlGuard()
    for query in queries:
        guard.check(query)
        pool.execute(query)


# ---------------------------------------------------------------------------------- experiments.md


def test_the_example_experiment_is_read_as_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listune.toml").write_text(example("experiments.md", "listune.toml"))
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    arms = settings.streams.experiment.arms
    assert [arm.answers for arm in arms] == ["champion", "example", "blind"]
    assert sum(arm.share for arm in arms) == pytest.approx(1)
    assert settings.evaluation.prices.machine_hour


def test_the_example_of_an_arms_prices_is_read_as_settings() -> None:
    [*_, block] = blocks(text_of("experiments.md"), "toml")
    [arm] = tomllib.loads(block)["streams"]["experiment"]["arms"]
    assert ArmSettings.model_validate(arm).prices is not None


# ------------------------------------------------------------------------------ other-languages.md


def test_the_least_request_and_review_are_read() -> None:
    asked, reviewed = blocks(text_of("other-languages.md"), "json")
    request = decode(ListingRequest, asked.encode())
    review = decode(ListingReview, reviewed.encode())
    assert (review.request_id, review.listing_id) == (request.request_id, request.listing_id)
    assert json.loads(asked).keys() - {"title"} == {
        name for name, field in ListingRequest.model_fields.items() if field.is_required()
    }
    assert json.loads(reviewed).keys() - {"shown", "submitted"} == {
        name for name, field in ListingReview.model_fields.items() if field.is_required()
    }
