"""`listune audit`: a session at a terminal, and draw, start and report on a pool."""

import io
import json
import os
import pty
import tty
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli import audit
from infra.cli.app import app
from infra.cli.audit_session import allowed, play, search
from infra.cli.keys import Keys, PipedKeys, TerminalKeys
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import listing_sha256
from schemas.sources.json_schema import write_schemas
from streams.audit.record import VerdictFile, read_verdicts
from streams.audit.sampling import Item
from tests.streams.audit.test_sampling import Asking, sell
from tests.streams.world import SCHEMAS, World

COLOURS = ("amber", "dark blue", "blue", "blue grey", "bluish green", "red")
COLOUR = Attribute(name="Colour", type=AttributeType.ENUM, values=COLOURS)
HEIGHT = Attribute(name="Height", type=AttributeType.NUMBER, units=("cm",), maximum=300)
KNOWN = CategorySchemas([CategorySchema(category="Lamps", attributes=(COLOUR, HEIGHT))])
HASH = KNOWN["Lamps"].hash


def item(number: int, attribute: str = "Colour", hash_: str = HASH) -> Item:
    return Item(
        prediction_id=f"p{number}",
        attribute=attribute,
        value=["red"],
        listing_sha256=listing_sha256(f"l{number}"),
        category="Lamps",
        category_schema_hash=hash_,
        adapter_id="base",
        confidence=0.5,
        score=0.5,
        stratum=0,
    )


class Session:
    """An auditor's terminal: keys in, screens out, verdicts in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def play(self, keys: str | Keys, *items: Item, schemas: CategorySchemas = KNOWN) -> list[Any]:
        """What stands, as (prediction, verdict, right value), after these keys."""
        chosen = items or tuple(item(n) for n in range(4))
        self.out = io.StringIO()
        console = Console(file=self.out, width=80)
        texts = {i.prediction_id: (f"Lamp {i.prediction_id}", "<p>A lamp.</p>") for i in chosen}
        texts.pop("p99", None)
        source = PipedKeys(io.StringIO(keys)) if isinstance(keys, str) else keys
        with VerdictFile(self.folder, "ann") as file:
            self.done = play(chosen, texts, schemas, file, "ann", source, console)
            return [(v.prediction_id, v.verdict, v.right_value) for v in file.standing.values()]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def test_one_key_is_one_verdict_and_the_screen_shows_product_value_and_schema(
    session: Session,
) -> None:
    assert session.play("r?x") == [("p0", "right", None), ("p1", "cannot_tell", None)]
    screen = session.out.getvalue()
    for shown in ("Lamp p0", "A lamp.", "Colour: red", "one of: amber, dark blue", "2/4 judged"):
        assert shown in screen
    assert "<p>" not in screen
    assert max(map(len, screen.splitlines())) <= 80


def test_it_goes_on_where_it_stopped(session: Session) -> None:
    session.play("rrq")
    assert session.play("r")[2:] == [("p2", "right", None)]
    assert session.done.judged == 3


def test_undo_takes_the_last_verdict_back_also_one_from_before_the_restart(
    session: Session,
) -> None:
    session.play("rr")
    assert session.play("uu?") == [("p0", "cannot_tell", None)]
    session.play("uu")
    assert "There is no verdict to undo." in session.out.getvalue()


def test_a_right_value_is_found_as_it_is_typed(session: Session) -> None:
    assert session.play("wblue\nwBLU gre\n") == [
        ("p0", "wrong", ["blue"]),
        ("p1", "wrong", ["blue grey"]),
    ]


def test_the_right_value_may_be_left_out(session: Session) -> None:
    assert session.play("w\nr") == [("p0", "wrong", None), ("p1", "right", None)]


def test_what_the_schema_refuses_is_refused_here_too(session: Session) -> None:
    keys = "w301 cm\n\b\b\b\b\b\b30 cm\n"
    assert session.play(keys, item(0, "Height")) == [("p0", "wrong", ["30 cm"])]
    assert "That is not allowed" in session.out.getvalue()


def test_a_value_whose_schema_changed_is_shown_with_a_note(session: Session) -> None:
    session.play("rr", item(0, hash_="old"), item(1, "Colours"))
    screen = session.out.getvalue()
    assert "The category's schema has changed since" in screen
    assert "no such attribute any more" in screen


def test_a_value_whose_product_is_gone_is_passed_over_and_counted(session: Session) -> None:
    assert session.play("rr", item(99), item(1)) == [("p1", "right", None)]
    assert (session.done.of, session.done.gone) == (1, 1)


def test_ctrl_c_loses_no_verdict(session: Session) -> None:
    class Pressed:
        keys = iter("r")

        def read(self) -> str:
            for key in self.keys:
                return key
            raise KeyboardInterrupt

    assert session.play(Pressed()) == [("p0", "right", None)]


@pytest.fixture
def terminal() -> Iterator[SimpleNamespace]:
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    yield SimpleNamespace(ours=ours, theirs=theirs)
    os.close(ours)
    os.close(theirs)


def test_on_a_terminal_arrows_choose_escape_leaves_out_and_nothing_is_echoed(
    session: Session, terminal: SimpleNamespace
) -> None:
    with TerminalKeys(terminal.theirs) as keys:
        os.write(terminal.ours, b"wblue\x1b[B\r" + "wübe\x7f\x7f\x7f\x1bOA".encode())
        slow = _EscapeLater(keys, terminal.ours)
        assert session.play(slow) == [("p0", "wrong", ["blue grey"]), ("p1", "wrong", None)]
    os.write(terminal.theirs, b"end")
    assert os.read(terminal.ours, 100) == b"end"


class _EscapeLater:
    """The lone Escape is written when all keys before it are read: else it begins a sequence."""

    def __init__(self, keys: Keys, terminal: int) -> None:
        self.keys, self.terminal, self.read_so_far = keys, terminal, 0

    def read(self) -> str:
        self.read_so_far += 1
        after = {16: b"\x1b", 17: b"q"}.get(self.read_so_far)
        if after is not None:
            os.write(self.terminal, after)
        return self.keys.read()


def test_a_long_list_is_searched_by_words_and_what_begins_so_comes_first() -> None:
    assert search(COLOUR, "blue") == ["blue", "blue grey", "dark blue"]
    assert search(COLOUR, "gre blu") == ["blue grey", "bluish green"]
    assert search(COLOUR.model_copy(update={"open": True}), "teal") == ["teal"]
    assert search(HEIGHT, "3") == []


def test_what_is_allowed_is_said_in_a_line() -> None:
    assert allowed(HEIGHT) == "a number in cm, at most 300"
    many = Attribute(name="a", type=AttributeType.ENUM, values=tuple(map(str, range(20))))
    assert allowed(many) == "one of: 0, 1, 2, 3, 4, 5, 6, 7 and 12 more"


# ------------------------------------------------------------------------------ the three commands


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A pool with 80 suggested values, and the commands asking it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    write_schemas(tmp_path / "schema.json", SCHEMAS)
    world = World(tmp_path / "pool")
    sell(world, 40)
    streams = SimpleNamespace(schema_path=tmp_path / "schema.json")
    monkeypatch.setattr(audit, "active_settings", lambda: SimpleNamespace(streams=streams))
    monkeypatch.setattr(audit, "query", lambda _, sql: Asking(world)(sql))
    monkeypatch.setattr(audit, "ask_writer", lambda _, sql: world.rows(sql))
    yield world
    world.pool.close()


def listune(*arguments: str, keys: str = "", code: int = 0) -> str:
    ran = CliRunner().invoke(app, ["audit", *arguments], input=keys)
    assert ran.exit_code == code, ran.output
    return str(ran.exception) if code else " ".join(ran.output.split())


def test_an_audit_from_the_draw_to_the_report(pool: World, tmp_path: Path) -> None:
    assert "40 of 80 suggested values are drawn" in listune("draw", "spring", "--size", "40")
    said = listune("start", "ann", keys="r" * 25)
    assert "25 of 40 values are judged, 25 now. `listune audit start ann` goes on." in said
    assert "40 of 40 values are judged, 15 now." in listune("start", "ann", keys="w\n" * 15)
    assert "10 of 10 values" in listune("start", "bo", "--share", "0.25", keys="r" * 9 + "w\n")
    shown = listune("report", "--out", "out")
    for part in (
        "prediction-powered",
        "classical",
        "ann, bo",
        "Judged differently",
        "Correct comp",
    ):
        assert part in shown
    report = json.loads((tmp_path / "out" / "audit-spring.json").read_text())
    assert 0.5 < report["classical"]["value"] < 0.75
    assert report["decides"]["low"] < report["decides"]["value"] < report["decides"]["high"]
    (pair,) = report["pairs"]
    assert (pair["agreement"]["both"], pair["agreement"]["agreed"]) == (10, 9)
    (adapter,) = report["adapters"]
    assert adapter["completeness"]["value"] == pytest.approx(0.5)
    product = adapter["completeness"]["value"] * adapter["correctness"]["value"]
    assert adapter["correct_completeness"]["value"] == pytest.approx(product)
    assert "| prediction-powered |" in (tmp_path / "out" / "audit-spring.md").read_text()


def test_a_second_auditor_does_not_see_the_firsts_verdicts(pool: World) -> None:
    listune("draw", "spring", "--size", "4")
    listune("start", "ann", keys="rrrr")
    assert "0/4 judged" in listune("start", "bo", keys="q")


def test_a_forgotten_listing_leaves_sample_verdicts_and_report(pool: World, tmp_path: Path) -> None:
    listune("draw", "spring", "--size", "80")
    listune("start", "ann", keys="r" * 80)
    pool.forget("l-7")
    shown = listune("report")
    assert "2 left the audit with listings that were forgotten" in shown
    files = sorted((tmp_path / "runs" / "audits" / "spring").iterdir())
    assert [file.name for file in files] == ["sample.json", "verdicts-ann.jsonl"]
    assert not any("p-q-l-7" in file.read_text() for file in files)
    assert len(read_verdicts(files[1])) == 78


def test_a_name_that_is_taken_an_audit_that_is_not_there_and_no_audit_are_sentences(
    pool: World,
) -> None:
    assert "draw one with `listune audit draw`" in listune("start", "ann", code=1)
    listune("draw", "spring", "--size", "4")
    assert "there is an audit 'spring' already" in listune("draw", "spring", code=1)
    assert "there is no audit 'autumn'" in listune("report", "--audit", "autumn", code=1)
    assert "cannot name an auditor" in listune("start", "../x", code=1)
    assert "fewer than two values are judged" in listune("report", code=1)


def test_a_sample_larger_than_the_population_says_so(pool: World) -> None:
    said = listune("draw", "all", "--size", "500")
    assert "80 of 80 suggested values are drawn, all there are, fewer than the 500" in said
