"""How the dates of a sample are written: a day above 12 says which of two numbers is the day."""

import re
from collections import Counter
from collections.abc import Sequence

DATE = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[T ].*)?")


def date_formats(columns: dict[str, list[str]]) -> tuple[str, str, dict[str, str]]:
    """The format of all dates, why, and where the columns differ the format of each that shows
    one."""
    found = {name: _date_format(texts) for name, texts in columns.items()}
    forms = {form for form, _ in found.values() if form}
    marks = {mark for texts in columns.values() for mark in _marks(texts)}
    if len(forms) <= 1 and len(marks) <= 1:
        return (*_date_format([text for texts in columns.values() for text in texts]), {})
    why = "; ".join(f"{name}: {why}" for name, (_, why) in found.items())
    return "", why, {name: form for name, (form, _) in found.items() if form}


def _marks(texts: Sequence[str]) -> set[tuple[str, int]]:
    """The marks between day and month, with the length of the year, of dates that are not ISO."""
    found = filter(None, map(DATE.fullmatch, texts))
    return {(one[2], len(one[4])) for one in found if len(one[1]) != 4}


def _date_format(texts: Sequence[str]) -> tuple[str, str]:
    """The format of strptime that all dates have, if there is but one; and why."""
    marks: Counter[str] = Counter()
    first_days = second_days = 0
    short_year = False
    example = ""
    for text in texts:
        found = DATE.fullmatch(text)
        if found is None or len(found[1]) == 4:
            continue
        example = example or text
        marks[found[2]] += 1
        first_days += int(found[1]) > 12
        second_days += int(found[3]) > 12
        short_year = short_year or len(found[4]) == 2
    if not marks:
        return "", "all dates are written YYYY-MM-DD"
    year = "%y" if short_year else "%Y"
    mark = marks.most_common(1)[0][0]
    if first_days and not second_days:
        return f"%d{mark}%m{mark}{year}", f"{first_days} dates begin with a number above 12"
    if second_days and not first_days:
        return (
            f"%m{mark}%d{mark}{year}",
            f"{second_days} dates have a number above 12 in the middle",
        )
    if mark == "." and not second_days:
        return f"%d.%m.{year}", "dates with dots begin with the day"
    return "", (
        f"{example!r} can be day or month first and nothing says which: such dates are refused; "
        'write "%d/%m/%Y" or "%m/%d/%Y"'
    )
