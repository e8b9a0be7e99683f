"""Markup in titles and descriptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.markup import without_markup


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<p>Brass <b>lamp</b></p><p>30&nbsp;cm</p>", "Brass lamp 30 cm"),
        ("one<br>two<br/>three", "one two three"),
        ("<style>p {color: red}</style><script>if (a < b) {}</script>lamp", "lamp"),
        ("&lt;ul&gt;&lt;li&gt;warm&lt;/li&gt;&lt;/ul&gt;", "warm"),
        ("R&amp;D &copy; caf&eacute; &#8211;", "R&D © café –"),
        ('<a href="x>y">link</a>', "link"),
        ("<!-- hidden -->shown", "shown"),
        ("<o:p>Word</o:p>", "Word"),
        ("AT&T, R&D, Lock&notch", "AT&T, R&D, Lock&notch"),
        ("Size <XL>, 5 < 10 and I <3 it", "Size <XL>, 5 < 10 and I <3 it"),
        ("plain", "plain"),
    ],
)
def test_a_text_is_as_a_browser_shows_it(text: str, shown: str) -> None:
    assert " ".join(without_markup(text).split()) == shown


@given(st.text("<>&;/!-? abp=\"'", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    assert len(without_markup(text)) <= len(text)
