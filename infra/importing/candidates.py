"""The columns of a table while a map is guessed for it, what their cells are like, and reasons."""

import re
from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from infra.importing.map import Reasons, Source
from infra.importing.names import ROLES, bare_name, without_locale
from infra.importing.surveying import Survey


class Candidates:
    """The columns of a table of which nobody said yet what they are: each is taken once."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.cells: dict[str, list[str]] = defaultdict(list)
        # A row that stands there again word by word says nothing new.
        different = dict.fromkeys(tuple(row.cells.items()) for row in survey.sample)
        for row in different:
            for name, cell in row:
                self.cells[name].append(cell)
        self.left = dict.fromkeys(survey.columns)
        self.reasons: Reasons = {}
        self.skipped: dict[str, str] = {}
        self.rows = len(different)

    def named(self, role: str) -> list[str]:
        """The columns left whose name is a word of the role, in the order of the words."""
        words = {bare_name(word): place for place, word in reversed(list(enumerate(ROLES[role])))}
        found = [(words[bare], name) for name in self.left if (bare := bare_name(name)) in words]
        if not found:
            found = [
                (words[bare], name)
                for name in self.left
                if (stem := without_locale(name)) and (bare := bare_name(stem[0])) in words
            ]
        return [name for _, name in sorted(found, key=lambda pair: pair[0])]

    def take(self, role: str, source: Source, why: str) -> Source:
        """Take a column or several for `role`, and say why."""
        for name in [source] if isinstance(source, str) else source:
            self.left.pop(name, None)
        self.reasons["columns", role] = why
        return source

    def skip(self, names: Iterable[str], why: str) -> None:
        """Leave columns out."""
        for name in list(names):
            if name in self.left:
                del self.left[name]
                self.skipped[name] = why

    def distinct(self, name: str) -> float:
        """The share of a column's filled cells that differ."""
        cells = self.cells[name]
        return len(set(cells)) / len(cells) if cells else 0.0

    def filled(self, name: str) -> float:
        """The share of rows in which a column has a text."""
        return len(self.cells[name]) / self.rows if self.rows else 0.0

    def lacking(self, name: str) -> int:
        """In how many rows a column is empty."""
        return self.rows - len(self.cells[name])

    def length(self, name: str) -> float:
        """The usual length of a column's filled cells, in characters; one may be very long."""
        return median(map(len, self.cells[name])) if self.cells[name] else 0.0

    def share(self, name: str, pattern: re.Pattern[str]) -> float:
        """The share of a column's filled cells that `pattern` is found at the beginning of."""
        cells = self.cells[name]
        return sum(pattern.match(cell) is not None for cell in cells) / len(cells) if cells else 0.0
