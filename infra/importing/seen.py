"""What an import has to remember of the rows before: ids, what parents say, how categories are
spelled.

In a temporary SQLite database on the disk, so that memory does not grow with the file: of a
million ids a set of Python's would take some 100 MB.
"""

import json
import sqlite3
from collections.abc import Mapping
from types import TracebackType

_CACHE_KB = 32_000


class Seen:
    """Ids, parents, families and spellings, gone when it is closed."""

    def __init__(self) -> None:
        self._con = sqlite3.connect("")
        self._con.isolation_level = None
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KB}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE ids (id TEXT PRIMARY KEY, place TEXT) WITHOUT ROWID",
            "CREATE TABLE parents (id TEXT PRIMARY KEY, says TEXT) WITHOUT ROWID",
            "CREATE TABLE spellings (key TEXT PRIMARY KEY, written TEXT) WITHOUT ROWID",
            "BEGIN",
        ):
            self._con.execute(statement)

    def __enter__(self) -> "Seen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._con.close()

    def first(self, identity: str, place: str) -> str | None:
        """Note an id; where it stood already, or None if it is new."""
        added = self._con.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (identity, place))
        if added.rowcount:
            return None
        found = self._con.execute("SELECT place FROM ids WHERE id = ?", (identity,)).fetchone()
        return str(found[0])

    def remember(self, parent: str, says: Mapping[str, object]) -> None:
        """Keep what `parent` says, if nothing is kept of it yet."""
        text = json.dumps(says, ensure_ascii=True)
        self._con.execute("INSERT OR IGNORE INTO parents VALUES (?, ?)", (parent, text))

    def parent(self, identity: str) -> dict[str, object]:
        """What the parent says; nothing if it did not come yet."""
        found = self._con.execute("SELECT says FROM parents WHERE id = ?", (identity,)).fetchone()
        return {} if found is None else dict(json.loads(found[0]))

    def spelling(self, key: str, written: str) -> str:
        """How what is compared as `key` was written when it came first."""
        self._con.execute("INSERT OR IGNORE INTO spellings VALUES (?, ?)", (key, written))
        found = self._con.execute("SELECT written FROM spellings WHERE key = ?", (key,)).fetchone()
        return str(found[0])
