"""Texts as they are kept and compared."""

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from schemas.texts import bare, comparable, is_cut, is_cut_json, one_line, plain


def test_no_mark_that_nobody_sees_is_compared() -> None:
    unseen = [chr(i) for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)) == "Cf"]
    assert {plain(f"a{mark}b") for mark in unseen} == {"ab"}


def test_what_is_no_white_space_and_controls_is_taken_out() -> None:
    assert one_line("a\x00b\tc\x85d\u2028e") == "ab c d e"


@given(st.text())
def test_a_text_is_kept_as_it_is_kept(text: str) -> None:
    assert one_line(one_line(text)) == one_line(text)
    assert unicodedata.is_normalized("NFC", one_line(text))
    assert comparable(one_line(text)) == comparable(text)
    assert bare(one_line(text).upper()) == bare(one_line(text).upper().lower())


def test_half_of_a_character_is_found_and_a_whole_one_is_not() -> None:
    assert is_cut("\ud83d")
    assert not is_cut("\U0001f9a6")
    assert is_cut_json('["\\uD83D"]')
    assert not is_cut_json('["\\ud83e\\udda6", "\\\\ud83d"]')
