"""Dead letters are read back and sent again, each once, on a real broker."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from schemas.category import CategorySchemas
from schemas.errors import EventError
from schemas.events import listing_sha256
from schemas.topic_names import DEAD_LETTERS, REVIEWS
from streams.forgotten import ask_to_forget, read_forgotten
from streams.kafka.publisher import Publisher
from streams.letters import Letter, read_letters, resend, why_not
from streams.settings import StreamsSettings
from streams.worker.dead_letters import KEPT_BYTES, bury, dead_letter_key, to_dead_letter
from tests.streams.curate.test_app import of_each, rows
from tests.streams.support import MakeWorker, applied, listing, read_all, send
from tests.waiting import wait_for

FAULT = EventError("invalid", "submitted: a value is missing")


def write(settings: StreamsSettings, *payloads: bytes, key: bytes | None = b"4711") -> list[str]:
    """Dead letters from `listing.reviews`, partition 2, offset 100 on; their keys."""
    publisher = Publisher(settings)
    letters = [
        to_dead_letter(REVIEWS, 2, offset, key, payload, FAULT)
        for offset, payload in enumerate(payloads, start=100)
    ]
    for letter in letters:
        bury(publisher, letter).result(10)
    publisher.close()
    return [dead_letter_key(letter) for letter in letters]


def send_again(settings: StreamsSettings, letter: Letter) -> None:
    publisher = Publisher(settings)
    resend(publisher, letter)
    publisher.close()


def test_letters_come_back_in_order_each_once_though_two_workers_wrote_it(
    settings: StreamsSettings,
) -> None:
    keys = write(settings, b"{oops", b"\xff")
    write(settings, b"{oops")
    letters = read_letters(settings)
    assert [letter.key for letter in letters] == keys
    assert [letter.payload for letter in letters] == [b"{oops", b"\xff"]
    assert all(letter.whole and letter.resent_ms is None for letter in letters)


def test_a_payload_goes_back_to_its_own_place_once_and_the_letter_says_so(
    settings: StreamsSettings,
) -> None:
    write(settings, b"{oops")
    [letter] = read_letters(settings)
    assert why_not(letter, ()) is None
    send_again(settings, letter)
    assert read_all(settings, REVIEWS) == [(2, 0, b"4711", b"{oops")]
    [marked] = read_letters(settings)
    assert marked.payload == b"{oops"
    assert marked.resent_ms is not None
    assert "--again" in str(why_not(marked, ()))
    assert why_not(marked, (), again=True) is None
    [_, (*_, mark)] = read_all(settings, DEAD_LETTERS)
    assert b'"payload_base64":""' in mark  # retention counts from the letter, not from its mark


def test_a_record_without_key_goes_back_without_one(settings: StreamsSettings) -> None:
    write(settings, b"{oops", key=None)
    send_again(settings, read_letters(settings)[0])
    assert read_all(settings, REVIEWS) == [(2, 0, None, b"{oops")]


def test_what_is_no_letter_is_passed_over(settings: StreamsSettings) -> None:
    publisher = Publisher(settings)
    publisher.send(DEAD_LETTERS, "junk", b"{not json").result(10)
    publisher.close()
    assert read_letters(settings) == []


def test_of_a_forgotten_listing_nothing_is_sent_again(settings: StreamsSettings) -> None:
    write(settings, b"{oops")
    ask_to_forget(settings, "4711")
    forgotten = read_forgotten(settings)
    assert forgotten == {listing_sha256("4711")}
    [letter] = read_letters(settings)
    assert why_not(letter, forgotten) == "its listing is forgotten"


def test_what_has_become_right_lands_in_the_pool_and_what_is_still_wrong_is_a_new_letter(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    *before, review = listing(schemas, "4711")
    send(settings, *before)
    write(settings, review.to_bytes(), b"{oops")
    for letter in read_letters(settings):
        send_again(settings, letter)
    wait_for(lambda: applied(curate, 4))
    *old, new = read_letters(settings)
    assert (len(old), new.payload, new.resent_ms) == (2, b"{oops", None)
    assert (new.key, new.found.reason) == (f"{REVIEWS}:2:1", "not_json")
    assert rows(settings, curate) == of_each(1)


def test_the_command_lists_shows_and_sends_once(
    settings: StreamsSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where no stack is up
    monkeypatch.setenv("LISTUNE_STREAMS__BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    first, second = write(settings, b'{"title": "[red]"}', b"x" * (KEPT_BYTES + 1))

    def said(*arguments: str) -> str:
        return CliRunner().invoke(app, ["letters", *arguments], catch_exceptions=False).output

    assert first in said()
    assert second in said()
    newest = said("--newest", "1", "--reason", "invalid", "--topic", REVIEWS)
    assert first not in newest
    assert "1 of 2 letters" in newest
    assert '{"title": "[red]"}' in said("show", first)
    sent = said("resend", "--reason", "invalid")
    assert "1 of 2 letters were sent again" in sent
    assert f"{second} was not sent" in sent
    assert "0 of 1 letters" in said("resend", first)
    assert "1 of 1 letters" in said("resend", first, "--again")
    assert len(read_all(settings, REVIEWS)) == 2


@pytest.mark.parametrize(
    ("payload", "key", "reason"),
    [
        (b"x" * (KEPT_BYTES + 1), b"4711", "only 65536 of its 65537 bytes were kept"),
        (b"", b"4711", "it has no payload"),
        (b"{oops", b"\xff", "its key is no text"),
    ],
)
def test_what_was_not_kept_whole_is_not_sent(payload: bytes, key: bytes, reason: str) -> None:
    found = to_dead_letter(REVIEWS, 0, 0, key, payload, FAULT)
    assert str(why_not(Letter("k", found, None), ())).startswith(reason)


def test_a_letter_that_was_changed_on_the_way_is_not_whole() -> None:
    found = to_dead_letter(REVIEWS, 0, 0, b"k", b"{oops", FAULT)
    other = found.model_copy(update={"sha256": hashlib.sha256(b"other").hexdigest()})
    letter = Letter("k", found, None)
    assert (letter.whole, replace(letter, found=other).whole) == (True, False)
