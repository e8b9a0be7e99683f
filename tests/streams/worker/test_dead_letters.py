"""A dead letter says where an unusable record lies, what is wrong with it, and what stood there."""

import base64
import hashlib

from schemas.errors import EventError
from streams.worker.dead_letters import KEPT_BYTES, dead_letter_key, to_dead_letter

FAULT = EventError("not_json", "expected value at line 1")


def test_it_names_source_and_reason() -> None:
    letter = to_dead_letter("listing.reviews", 3, 42, b"4711", b"{oops", FAULT)
    assert dead_letter_key(letter) == "listing.reviews:3:42"
    assert (letter.reason, letter.error, letter.key) == ("not_json", str(FAULT), "4711")


def test_it_keeps_the_first_64_kb_and_the_hash_of_all() -> None:
    payload = bytes(range(256)) * 1000
    letter = to_dead_letter("t", 0, 0, None, payload, FAULT)
    assert base64.b64decode(letter.payload_base64) == payload[:KEPT_BYTES]
    assert (letter.size, letter.sha256) == (256_000, hashlib.sha256(payload).hexdigest())


def test_neither_key_nor_payload_need_be_text_or_there() -> None:
    letter = to_dead_letter("t", 0, 0, b"\xff\xfe", None, FAULT)
    assert (letter.key, letter.size, letter.payload_base64) == ("\ufffd\ufffd", 0, "")
