"""`proposals`: what sellers type and the schema refuses, listed, and taken into the schema."""

import json
from collections.abc import Sequence

import typer
from rich.table import Table
from rich.text import Text

from infra.cli.output import console
from infra.cli.schema_changes import stack_settings
from schemas.errors import ListuneError, SchemaError
from schemas.sources.editing import Edit, put_in_place, with_values
from streams.pool.losses import in_words, losses
from streams.replay.fingerprint import Ask
from streams.replay.live_pool import ask_live
from streams.settings import StreamsSettings


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    proposals = typer.Typer(
        help="List what sellers type and the schema refuses, and allow it.",
        epilog="Examples: `listune proposals` · `listune proposals accept Lamps Colour lilac`",
    )
    proposals.callback(invoke_without_command=True)(show)
    proposals.command(
        epilog="Example: `listune proposals accept Lamps Colour lilac --spelling lilas`"
    )(accept)
    app.add_typer(proposals, name="proposals")


def show(
    context: typer.Context,
    most: int = typer.Option(30, min=1, help="show no more than this many"),
    details: bool = typer.Option(False, help="also spellings, listings and the reason in words"),
) -> None:
    """List what several sellers typed and the schema refuses, with what would have to change.

    Nothing is changed. Those that `accept` can do come first.
    """
    if context.invoked_subcommand is not None:
        return
    rows = _asking(stack_settings())(
        'SELECT category, attribute, "value", sellers, "count", change, spellings, examples, '
        f"sentence FROM main.proposals LIMIT {most}"
    )
    if not rows:
        console.print("no proposals: no value that the schema refuses was typed by enough sellers")
        return
    table = Table("category", "attribute", "value", box=None, pad_edge=False)
    for column in ("sellers", "count"):
        table.add_column(column, justify="right")
    table.add_column("change of the schema")
    for category, attribute, value, sellers, count, change, *more in rows:
        table.add_row(*map(Text, (category, attribute, value, str(sellers), str(count), change)))
        if details:
            spellings, examples, sentence = more
            said = f"{', '.join(spellings)}; in {', '.join(examples)}; {sentence}"
            table.add_row("", "", Text(said, style="dim"), "", "", "")
    console.print(table)


def accept(
    category: str = typer.Argument(help="by its name in force"),
    attribute: str = typer.Argument(help="an enum of that category"),
    value: str = typer.Argument(help="as it is to stand in the schema"),
    spelling: list[str] = typer.Option(
        [], help="a further spelling of it to allow, as a value of its own; several times"
    ),
) -> None:
    """Allow a proposed value: write it into the schema file, which running workers take over.

    The former file stays beside the new one. Only what sellers typed can be accepted.
    """
    streams = stack_settings()
    ask, values = _asking(streams), list(dict.fromkeys((value, *spelling)))
    edit = with_values(streams.schema_path, category, attribute, values)
    _refuse_other_schemas(ask, edit, category)
    _refuse_what_nobody_typed(ask, edit, category, attribute, values)
    if lost := in_words(losses(ask, edit.schemas_before, edit.schemas_after)):
        raise ListuneError(f"this would lose values of the pool: {lost}")
    backup = put_in_place(edit)
    console.print(
        f"{edit.path} allows {', '.join(map(repr, values))} now; the former file is {backup.name}. "
        + _taken(streams),
        highlight=False,
    )


def _taken(streams: StreamsSettings) -> str:
    if not streams.schema_look_s:
        return "Workers take it when they start again: `streams.schema_look_s` is 0."
    return f"Workers look at it every {streams.schema_look_s:g} s."


def _asking(streams: StreamsSettings) -> Ask:
    ask = ask_live(streams)
    if ask is None:
        raise ListuneError("there is no pool yet, and nothing was proposed; see `listune up`")
    return ask


def _refuse_other_schemas(ask: Ask, edit: Edit, category: str) -> None:
    """Proposals are told by the schema in force: one that was edited since says something else."""
    schema = edit.schemas_before.by_any_name[category]
    rows = ask(f"SELECT hash FROM store.categories WHERE category = {_quoted(schema.category)}")
    if [tuple(row) for row in rows] != [(schema.hash,)]:
        raise SchemaError(
            f"{edit.path} has another schema of {schema.category!r} than the running system: it "
            "was changed since; wait until the workers have taken it over, and list again"
        )


def _refuse_what_nobody_typed(
    ask: Ask, edit: Edit, category: str, attribute: str, values: Sequence[str]
) -> None:
    schema = edit.schemas_before.by_any_name[category]
    name = schema.by_any_name[attribute].name
    known = ask(
        "SELECT unnest(spellings) FROM main.proposals WHERE acceptable "
        f"AND category = {_quoted(schema.category)} AND attribute = {_quoted(name)}"
    )
    alike = {key for (key,) in ask(_keys([row[0] for row in known]))}
    for value, (key,) in zip(values, ask(_keys(values)), strict=True):
        if key not in alike:
            raise ListuneError(
                f"{value!r} is no proposal for {schema.category}, {name}; `listune proposals` "
                "lists them, and any other value is for you to write into the file"
            )


def _keys(values: Sequence[str]) -> str:
    """A statement that gives the spelling that each of `values` is told by, in their order."""
    literal = _quoted(json.dumps(list(values), ensure_ascii=False))
    each = f"unnest(from_json({literal}, '[\"VARCHAR\"]'))"
    return f"SELECT store.spelling(v) FROM (SELECT {each} AS v)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
