"""Single keys, as a person presses them: from a terminal, or from a pipe where there is none.

A key is the character that it writes, or a word: `enter`, `backspace`, `escape`, `up`, `down`. An
empty text is the end of the input.
"""

import os
import select
import sys
import termios
import tty
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TextIO

_NAMES = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x04": ""}
_SEQUENCES = {b"[A": "up", b"[B": "down", b"OA": "up", b"OB": "down"}
# A key that writes several bytes writes them at once; a person is slower.
_AT_ONCE_S = 0.05


class Keys(Protocol):
    """Where keys come from."""

    def read(self) -> str:
        """The next key; waits for it."""
        ...


class TerminalKeys:
    """The keys of a terminal, unseen and without waiting for a line's end; a context manager."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._before: list[Any] = []

    def __enter__(self) -> "TerminalKeys":
        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def read(self) -> str:
        """The next key; waits for it."""
        first = os.read(self._file, 1)
        if first == b"\x1b":
            return _SEQUENCES.get(self._rest(), "escape")
        # The first byte of a character in UTF-8 tells how many follow.
        more = 0 if not first or first[0] < 0xC0 else 1 + (first[0] >= 0xE0) + (first[0] >= 0xF0)
        whole = first + b"".join(os.read(self._file, 1) for _ in range(more))
        text = whole.decode("utf-8", "replace")
        return _NAMES.get(text, text)

    def _rest(self) -> bytes:
        """What else the key wrote; the keys after it may wait already."""
        found = b""
        while select.select([self._file], [], [], _AT_ONCE_S)[0]:
            found += os.read(self._file, 1)
            if found[:1] not in (b"[", b"O") or (len(found) > 1 and 0x40 <= found[-1] <= 0x7E):
                break
        return found


class PipedKeys:
    """The characters of a text, each a key."""

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def read(self) -> str:
        """The next key; waits for it."""
        one = self._text.read(1)
        return _NAMES.get(one, one)


def keys_here() -> AbstractContextManager[Keys]:
    """The keys of this process's input."""
    if sys.stdin.isatty():
        return TerminalKeys(sys.stdin.fileno())
    return nullcontext(PipedKeys(sys.stdin))
