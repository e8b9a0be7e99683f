"""`letters`: the dead letters, one by one, and their payloads sent again."""

from datetime import UTC, datetime

import typer
from rich.table import Table
from rich.text import Text

from infra.cli.output import console
from infra.settings import active_settings
from schemas.errors import ListuneError
from streams.errors import LettersError
from streams.forgotten import read_forgotten
from streams.kafka.publisher import Publisher
from streams.letters import Letter, read_letters, resend, why_not


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    letters = typer.Typer(
        help="List, show and send again the events that could not be used.",
        epilog="Examples: `listune letters` · `listune letters --reason invalid --newest 5` · "
        "`listune letters show listing.reviews:0:42` · `listune letters resend --reason invalid`",
    )
    letters.callback(invoke_without_command=True)(list_letters)
    letters.command(epilog="Example: `listune letters show listing.reviews:0:42`")(show)
    letters.command(
        "resend",
        epilog="Examples: `listune letters resend listing.reviews:0:42` · "
        "`listune letters resend --reason invalid`",
    )(resend_letters)
    app.add_typer(letters, name="letters")


def list_letters(
    context: typer.Context,
    topic: str = typer.Option("", help="only letters from this topic"),
    reason: str = typer.Option("", help="only letters with this reason, such as `invalid`"),
    newest: int = typer.Option(20, min=1, help="show no more than this many, the newest last"),
) -> None:
    """List the events that could not be used."""
    if context.invoked_subcommand is not None:
        return
    found = _chosen(read_letters(active_settings().streams), topic, reason)
    table = Table("key", "written", "reason", "bytes", "sent again", "error")
    table.columns[0].overflow = "fold"
    for letter in found[-newest:]:
        kept = f"{letter.found.size}" if letter.whole else f"{letter.found.size} (cut)"
        times = (_time(letter.found.created_ms), _time(letter.resent_ms))
        # As text: what a stranger sent must not be read as markup.
        row = [letter.key, times[0], letter.found.reason, kept, times[1], letter.found.error]
        table.add_row(*map(Text, row))
    console.print(table)
    console.print(f"{min(newest, len(found))} of {len(found)} letters", highlight=False)


def show(key: str = typer.Argument(help="the letter's key, from `listune letters`")) -> None:
    """Show a whole letter, its payload as text where it is text."""
    letter = _find(read_letters(active_settings().streams), key)
    facts = letter.found.model_dump(exclude={"payload_base64", "schema_version"})
    times = {"created_ms": _time(letter.found.created_ms), "resent_ms": _time(letter.resent_ms)}
    table = Table("field", "value")
    for name, value in (facts | times).items():
        table.add_row(name.removesuffix("_ms"), Text("" if value is None else str(value)))
    console.print(table)
    if not letter.whole:
        console.print(f"{len(letter.payload)} of {letter.found.size} bytes were kept:")
    try:
        console.print(Text(letter.payload.decode("utf-8")), soft_wrap=True)
    except UnicodeDecodeError:
        console.print(Text(repr(letter.payload)), soft_wrap=True)


def resend_letters(
    key: str = typer.Argument("", help="the letter's key, from `listune letters`"),
    reason: str = typer.Option("", help="all letters with this reason"),
    again: bool = typer.Option(False, help="also what was sent again before"),
) -> None:
    """Send payloads to their own topics again; what is still wrong makes a new letter."""
    if bool(key) == bool(reason):
        raise ListuneError("name one letter by its key, or several with --reason")
    streams = active_settings().streams
    letters = read_letters(streams)
    chosen = [_find(letters, key)] if key else _chosen(letters, "", reason)
    forgotten = read_forgotten(streams)
    publisher = Publisher(streams, client_id="listune-cli")
    sent = 0
    try:
        for letter in chosen:
            problem = why_not(letter, forgotten, again)
            if problem is None:
                resend(publisher, letter)
                sent += 1
            else:
                console.print(Text(f"{letter.key} was not sent: {problem}"))
    finally:
        publisher.close()
    console.print(f"{sent} of {len(chosen)} letters were sent again", highlight=False)


def _chosen(letters: list[Letter], topic: str, reason: str) -> list[Letter]:
    return [
        letter
        for letter in letters
        if topic in ("", letter.found.topic) and reason in ("", letter.found.reason)
    ]


def _find(letters: list[Letter], key: str) -> Letter:
    for letter in letters:
        if letter.key == key:
            return letter
    raise LettersError(f"there is no letter {key!r}; `listune letters --newest 1000` lists them")


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
