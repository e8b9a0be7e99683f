"""Markup taken out of a text: shops export titles and descriptions as HTML.

Only what HTML knows is taken for markup, so that `<XL>`, `5 < 10` and `R&D` stay as they are.
Character references need their semicolon: without it `&notch` would be `¬ch`.
"""

import re
from html.parser import HTMLParser

# Text that was escaped twice is markup again after the first time.
MOST_TIMES = 3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_INLINE = _words(
    """
    a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q s samp
    small span strike strong sub sup time tt u var wbr
    """
)
_BLOCK = _words(
    """
    address area article aside audio base blockquote body br button canvas caption center col
    colgroup dd details dialog dir div dl dt embed fieldset figcaption figure footer form frame
    frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input legend li link main map
    marquee menu meta meter nav object ol optgroup option output p param picture pre progress
    section select source summary table tbody td template textarea tfoot th thead title tr track
    ul video
    """
)
_UNREAD = frozenset(("script", "style", "noscript", "svg", "math"))
# What the parser would look for the end of again and again, in a hostile text for minutes.
_NOT_SHOWN = re.compile(r"<[!?][^<>]*>")
_TAG_WITHOUT_END = re.compile(r"<(?=[^<>]*(?:<|\Z))")
_REFERENCE_WITHOUT_END = re.compile(r"&(?!(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,32});)")


def without_markup(text: str) -> str:
    """`text` as a browser would show it; a block's end, as of a paragraph, is a space."""
    for _ in range(MOST_TIMES):
        if "<" not in text and "&" not in text:
            return text
        before, text = text, _once(text)
        if text == before:
            return text
    return text


def _once(text: str) -> str:
    text = _NOT_SHOWN.sub(" ", _without_comments(text))
    text = _REFERENCE_WITHOUT_END.sub("&amp;", text)
    parser = _Text()
    parser.feed(_TAG_WITHOUT_END.sub("&lt;", text))
    parser.close()
    return "".join(parser.parts)


def _without_comments(text: str) -> str:
    kept, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin)) >= 0:
        kept.append(text[at:begin])
        at = end + len("-->")
    return "".join([*kept, text[at:]])


class _Text(HTMLParser):
    """Collects what is shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unread: str | None = None
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unread is not None:
            self._depth += tag == self._unread
        elif tag in _UNREAD:
            self._unread, self._depth = tag, 1
        else:
            self._pass(tag, self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unread is None and tag not in _UNREAD:
            self._pass(tag, self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if self._unread is None:
            self._pass(tag, f"</{tag}>")
        elif tag == self._unread:
            self._depth -= 1
            if self._depth == 0:
                self._unread = None
                self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if self._unread is None:
            self.parts.append(data)

    def _pass(self, tag: str, written: str) -> None:
        if tag in _BLOCK:
            self.parts.append(" ")
        elif tag not in _INLINE and tag not in _UNREAD and not set(tag) & set(":-"):
            self.handle_data(written.replace("&amp;", "&"))  # as `_once` wrote it
