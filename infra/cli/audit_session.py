"""An auditor at the terminal: product, value and what the schema allows; one key a verdict.

A verdict is on the disk before the next value is shown, so quitting, Ctrl-C and a closed terminal
lose none, and the next start goes on. What another auditor said is never read here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from infra.cli.keys import Keys
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.markup import without_markup
from schemas.values import format_answer, parse_answer, problem
from streams.audit.record import Said, Verdict, VerdictFile
from streams.audit.sampling import Item

VERDICTS: dict[str, Said] = {"r": "right", "w": "wrong", "?": "cannot_tell"}
HELP = "   ".join(
    f"[b]{key}[/] {does}"
    for key, does in {
        "r": "right",
        "w": "wrong",
        "?": "cannot tell",
        "u": "undo",
        "m": "more",
        "q": "quit",
    }.items()
)
SEARCH_HELP = (
    "[b]type[/] to search   [b]up down[/] choose   [b]Enter[/] takes it   [b]Esc[/] leaves it out"
)
CHANGED = "The category's schema has changed since this value was suggested."
GONE = "The category has no such attribute any more; judge by its name."
MOST_SHOWN = 1200
"""Characters of a description that are shown at first."""
MOST_FOUND = 8
"""Allowed values that are shown at once."""


@dataclass(frozen=True)
class Done:
    """How a session ended: verdicts that stand, of how many, and values whose listing is gone."""

    judged: int
    of: int
    gone: int


def play(
    items: Sequence[Item],
    texts: Mapping[str, tuple[str, str]],
    schemas: CategorySchemas,
    file: VerdictFile,
    auditor: str,
    keys: Keys,
    console: Console,
) -> Done:
    """Shows one value after the other until all are judged, `q`, or the end of the input.

    texts: title and description by prediction; a value without is passed over.
    """
    shown = [item for item in items if item.prediction_id in texts]
    # Ctrl-C ends it as q does.
    with suppress(KeyboardInterrupt):
        _Session(shown, texts, schemas, file, auditor, keys, console).run()
    judged = sum(item.key in file.standing for item in shown)
    return Done(judged, len(shown), len(items) - len(shown))


class _Session:
    def __init__(
        self,
        items: Sequence[Item],
        texts: Mapping[str, tuple[str, str]],
        schemas: CategorySchemas,
        file: VerdictFile,
        auditor: str,
        keys: Keys,
        console: Console,
    ) -> None:
        self.items, self.texts, self.schemas = items, texts, schemas
        self.file, self.auditor, self.keys, self.console = file, auditor, keys, console

    def run(self) -> None:
        whole, note = False, ""
        while (item := next(self._pending(), None)) is not None:
            self._show(item, whole, note)
            self.console.print(HELP)
            key, note = self.keys.read(), ""
            if key in ("", "q"):
                return
            whole = key == "m"
            if key in VERDICTS:
                self._judge(item, VERDICTS[key])
            elif key == "u" and not self._undo():
                note = "There is no verdict to undo."

    def _pending(self) -> Iterator[Item]:
        return (item for item in self.items if item.key not in self.file.standing)

    def _judge(self, item: Item, said: Said) -> None:
        instead = self._right_value(item) if said == "wrong" else None
        schema, _ = self._schema(item)
        self.file.add(
            Verdict(
                auditor=self.auditor,
                prediction_id=item.prediction_id,
                attribute=item.attribute,
                value=item.value,
                category_schema_hash=schema.hash if schema else "",
                verdict=said,
                right_value=instead,
            )
        )

    def _undo(self) -> bool:
        """Takes the last verdict back; whether there was one."""
        known = {item.key for item in self.items}
        for said in reversed(list(self.file.standing.values())):
            if said.key in known:
                self.file.add(said.model_copy(update={"verdict": None, "right_value": None}))
                return True
        return False

    def _schema(self, item: Item) -> tuple[CategorySchema | None, Attribute | None]:
        """Those in force."""
        schema = self.schemas.find(item.category)
        return schema, schema.find(item.attribute) if schema else None

    def _show(self, item: Item, whole: bool = False, note: str = "") -> None:
        console = self.console
        console.clear()
        judged = sum(one.key in self.file.standing for one in self.items)
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(len(self.items), judged, width=30)
        head.add_row(Text(self.auditor), bar, f"{judged}/{len(self.items)} judged")
        console.print(head)
        title, description = (without_markup(text) for text in self.texts[item.prediction_id])
        console.print(Text(f"\n{item.category}", style="dim"))
        console.print(Text(title, style="bold"))
        cut = not whole and len(description) > MOST_SHOWN
        console.print(Text(f"{description[:MOST_SHOWN]} … (m shows all)" if cut else description))
        console.print(Text.assemble("\n", item.attribute, ": ",
                                    (format_answer(item.value), "bold reverse")))  # fmt: skip
        schema, attribute = self._schema(item)
        if attribute is None:
            console.print(GONE, style="yellow")
        else:
            console.print(Text(allowed(attribute), style="dim"))
            if schema is not None and schema.hash != item.category_schema_hash:
                console.print(CHANGED, style="yellow")
        if note:
            console.print(note, style="yellow")
        console.print()

    def _right_value(self, item: Item) -> list[str] | None:
        """What the auditor writes or chooses in its place; None where it is left out."""
        _, attribute = self._schema(item)
        typed, chosen, note = "", 0, ""
        while attribute is not None:
            found = search(attribute, typed)[:MOST_FOUND]
            chosen = min(chosen, max(len(found) - 1, 0))
            self._show(item, note=note)
            self.console.print(Text(f"Right value: {typed}▏"))
            for place, value in enumerate(found):
                self.console.print(Text(f"  {value}", style="reverse" if place == chosen else ""))
            self.console.print(SEARCH_HELP)
            key, note = self.keys.read(), ""
            match key:
                case "" | "escape":
                    return None
                case "up" | "down":
                    chosen = max(chosen + (1 if key == "down" else -1), 0)
                case "backspace":
                    typed = typed[:-1]
                case "enter":
                    if not typed.strip() and not chosen:
                        return None
                    values = [found[chosen]] if found else parse_answer(attribute, typed)
                    if values and (fault := problem(attribute, values)) is None:
                        return values
                    note = f"That is not allowed: {fault if values else 'an empty value'}."
                case _ if len(key) == 1 and key.isprintable():
                    typed, chosen = typed + key, 0
        return None


def search(attribute: Attribute, typed: str) -> list[str]:
    """The allowed values that have all the words of `typed`, those that begin with it first.

    None for an attribute without a list, or one that takes several values: what is typed counts. Of
    an open list what is typed comes first.
    """
    if attribute.multi_value or attribute.type is AttributeType.TEXT:
        return []
    values = attribute.values or (("yes", "no") if attribute.type is AttributeType.BOOLEAN else ())
    words, whole = typed.casefold().split(), typed.casefold().strip()
    found = [value for value in values if all(word in value.casefold() for word in words)]
    found.sort(
        key=lambda value: (not value.casefold().startswith(whole), value.casefold() != whole)
    )
    if attribute.open and whole and whole not in (value.casefold() for value in found):
        return [typed.strip(), *found]
    return found


def allowed(attribute: Attribute) -> str:
    """What the schema allows, in a line or two."""
    parts = [_kind(attribute)]
    if attribute.multi_value:
        parts.append(f"up to {attribute.max_values} values")
    if attribute.description:
        parts.append(attribute.description)
    return "; ".join(parts)


def _kind(attribute: Attribute) -> str:
    match attribute.type:
        case AttributeType.ENUM:
            some = ", ".join(attribute.values[:MOST_FOUND])
            more = len(attribute.values) - MOST_FOUND
            tail = f" and {more:,} more" if more > 0 else ""
            return f"{'such as' if attribute.open else 'one of'}: {some}{tail}"
        case AttributeType.NUMBER:
            unit = f" in {' or '.join(attribute.units)}" if attribute.units else ""
            low, high = attribute.minimum, attribute.maximum
            bounds = "" if low is None else f", at least {low:g}"
            bounds += "" if high is None else f", at most {high:g}"
            return f"a number{unit}{bounds}"
        case AttributeType.BOOLEAN:
            return "yes or no"
        case AttributeType.PATTERN:
            return f"a text of the form {attribute.pattern}"
        case AttributeType.DATE:
            return "a date, YYYY-MM-DD"
        case AttributeType.TEXT:
            return f"a text of at most {attribute.text_length} characters"
