"""Verdicts: appended, resumed after any end, and refused by line where they are broken."""

from pathlib import Path

import pytest

from streams.audit.errors import AuditError
from streams.audit.record import (
    Said,
    Verdict,
    VerdictFile,
    auditors,
    keep_verdicts,
    read_verdicts,
    verdicts_path,
)


def said(number: int, verdict: Said | None = "right") -> Verdict:
    return Verdict(
        auditor="ann",
        prediction_id=f"p{number}",
        attribute="Colour",
        value=["red"],
        category_schema_hash="h",
        verdict=verdict,
    )


def test_what_was_said_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with VerdictFile(tmp_path, "ann") as file:
        file.add(said(1))
    with VerdictFile(tmp_path, "ann") as file:
        file.add(said(2, "wrong"))
        assert [v.verdict for v in file.standing.values()] == ["right", "wrong"]


def test_a_later_line_replaces_and_one_without_a_verdict_takes_back(tmp_path: Path) -> None:
    with VerdictFile(tmp_path, "ann") as file:
        for one in (said(1), said(1, "wrong"), said(2), said(2, None)):
            file.add(one)
        assert len(file.path.read_text().splitlines()) == 4
    standing = read_verdicts(file.path)
    assert {key: v.verdict for key, v in standing.items()} == {("p1", "Colour"): "wrong"}


def test_half_a_line_is_what_a_crash_leaves_and_is_dropped(tmp_path: Path) -> None:
    with VerdictFile(tmp_path, "ann") as file:
        file.add(said(1))
    with file.path.open("a") as torn:
        torn.write('{"auditor": "a')
    with VerdictFile(tmp_path, "ann") as file:
        file.add(said(2))
    assert len(read_verdicts(file.path)) == 2


@pytest.mark.parametrize("broken", ["{", "", '{"auditor": "ann"}', "[1]"])
def test_a_broken_line_is_refused_with_its_number(tmp_path: Path, broken: str) -> None:
    path = verdicts_path(tmp_path, "ann")
    path.write_text(f"{said(1).model_dump_json()}\n{broken}\n{said(2).model_dump_json()}\n")
    for read in (read_verdicts, lambda _: VerdictFile(tmp_path, "ann")):
        with pytest.raises(AuditError, match=r"verdicts-ann\.jsonl, line 2 is no verdict"):
            read(path)


@pytest.mark.parametrize("name", ["", "../bo", "a b", "-x", "x" * 41, "ann/1"])
def test_a_name_that_cannot_be_a_files_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AuditError, match="cannot name an auditor; take up to 40 letters"):
        VerdictFile(tmp_path, name)


def test_the_auditors_are_those_who_have_a_file(tmp_path: Path) -> None:
    for name in ("bo", "ann.2"):
        VerdictFile(tmp_path, name).__exit__()
    assert auditors(tmp_path) == ["ann.2", "bo"]


def test_what_was_said_of_a_forgotten_listing_goes_with_it(tmp_path: Path) -> None:
    with VerdictFile(tmp_path, "ann") as file:
        for one in (said(1), said(2), said(1, None)):
            file.add(one)
    keep_verdicts(file.path, {("p2", "Colour"), ("p3", "Colour")})
    assert "p1" not in file.path.read_text()
    assert len(read_verdicts(file.path)) == 1


def test_two_terminals_cannot_judge_as_one_auditor(tmp_path: Path) -> None:
    with (
        VerdictFile(tmp_path, "ann"),
        pytest.raises(AuditError, match="open in another terminal"),
    ):
        VerdictFile(tmp_path, "ann")
