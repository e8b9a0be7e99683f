"""Listings come back as written, and a file that is not what it should be is named."""

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from schemas.events import ManifestFile
from tests.builders import make_rows, write_heldout, write_manifest
from trainer.data.dataset import file_hash, question_hash, read_heldout, read_rows
from trainer.errors import DataError


def test_rows_of_a_manifest_come_back_as_written(tmp_path: Path) -> None:
    rows = make_rows(4)
    rows[0] = replace(rows[0], pictures=("ab" * 32, "cd" * 32))
    assert read_rows([write_manifest(rows, tmp_path / "train.parquet")]) == rows


def test_a_manifest_may_say_which_labels_no_model_has_touched(tmp_path: Path) -> None:
    before = write_manifest(make_rows(2), tmp_path / "before.parquet")
    path = tmp_path / "marked.parquet"
    marks = "CASE WHEN listing_id = (SELECT min(listing_id) FROM rows) THEN 'true' ELSE 'false' END"
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE rows AS FROM '{before.path}'")
        con.sql(f"SELECT *, {marks} AS blind FROM rows ORDER BY ALL").write_parquet(str(path))
    marked = ManifestFile(role="train", path=str(path), sha256=file_hash(path), rows=2)
    assert [row.blind for row in read_rows([marked])] == [True, False]
    assert [row.blind for row in read_rows([before])] == [False, False]


def test_another_file_than_the_manifest_names_is_refused(tmp_path: Path) -> None:
    manifest = write_manifest(make_rows(2), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="not the file"):
        read_rows([manifest.model_copy(update={"sha256": "0" * 64})])
    with pytest.raises(DataError, match="cannot be read"):
        read_rows([manifest.model_copy(update={"path": str(tmp_path / "gone.parquet")})])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    duckdb.sql("SELECT 'l1' AS listing_id, 'Mugs' AS category").write_parquet(str(path))
    manifest = ManifestFile(role="train", path=str(path), sha256=file_hash(path), rows=1)
    with pytest.raises(DataError, match="row 0: the column 'attributes'"):
        read_rows([manifest])


def test_heldout_rows_come_back_as_written(tmp_path: Path) -> None:
    rows = make_rows(3)
    assert read_heldout(write_heldout(rows, tmp_path / "heldout.jsonl")) == rows


def test_a_heldout_file_has_a_byte_order_mark_or_not_and_is_utf_8(tmp_path: Path) -> None:
    rows = make_rows(2)
    path = write_heldout(rows, tmp_path / "heldout.jsonl")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_heldout(path) == rows
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match="is not UTF-8; save it as UTF-8"):
        read_heldout(path)


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"listing_id": "x"}', '{"listing_id": 1, "values": {"a": 5}}']
)
def test_a_bad_heldout_line_is_named(tmp_path: Path, line: str) -> None:
    path = write_heldout(make_rows(2), tmp_path / "heldout.jsonl")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match="line 3"):
        read_heldout(path)


def test_pictures_that_are_no_hashes_are_named_with_their_line(tmp_path: Path) -> None:
    path = write_heldout(make_rows(1), tmp_path / "heldout.jsonl")
    record = json.loads(path.read_text()) | {"pictures": [7]}
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match="line 1"):
        read_heldout(path)


def test_a_line_separator_inside_a_text_splits_no_line(tmp_path: Path) -> None:
    record = {"listing_id": "x", "category": "c", "title": "a\u2028b", "attributes": []}
    path = tmp_path / "heldout.jsonl"
    path.write_text(json.dumps(record | {"values": {}}, ensure_ascii=False))
    assert read_heldout(path)[0].listing.title == "a\u2028b"


def test_values_are_read_in_the_schemas_spelling_and_a_placeholder_is_a_blank(
    tmp_path: Path,
) -> None:
    attributes = [
        {"name": "Colour", "type": "enum", "values": ["red"]},
        {"name": "Height", "type": "number", "units": ["mm"], "locale": "de-DE"},
        {"name": "Style", "type": "text"},
    ]
    values = {"Colour": ["RED"], "Height": ["1.200,5 MM"], "Style": ["unknown"], "Gone": ["x"]}
    record = {"listing_id": "x", "category": "c", "attributes": attributes, "values": values}
    path = tmp_path / "heldout.jsonl"
    path.write_text(json.dumps(record))
    [row] = read_heldout(path)
    assert row.values == {"Colour": ["red"], "Height": ["1200,5 mm"], "Style": [], "Gone": ["x"]}
    assert [a.name for a in row.filled()] == ["Colour", "Height"]


def test_half_of_a_character_in_a_heldout_file_is_named(tmp_path: Path) -> None:
    path = write_heldout(make_rows(1), tmp_path / "heldout.jsonl")
    path.write_text(path.read_text() + json.dumps({"listing_id": "\ud83d"}) + "\n")
    with pytest.raises(DataError, match="line 2: a text has half of a character"):
        read_heldout(path)


def test_attributes_that_do_not_apply_by_the_catalogs_values_are_left_out(tmp_path: Path) -> None:
    attributes = [
        {"name": "Power", "type": "enum", "values": ["mains", "battery"]},
        {"name": "Cell", "type": "text", "when": {"Power": ["battery"]}},
    ]
    lines = [
        {"listing_id": power, "category": "c", "title": "t", "attributes": attributes}
        | {"values": {"Power": [power], "Cell": ["AA"]}}
        for power in ("mains", "battery")
    ]
    path = tmp_path / "heldout.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    names = [[a.name for a in row.attributes] for row in read_heldout(path)]
    assert names == [["Power"], ["Power", "Cell"]]


def test_a_field_that_came_later_changes_no_question_that_does_without_it() -> None:
    """The answers that a registry keeps are found by this hash."""
    [row] = make_rows(1)
    assert question_hash(row).endswith("-cc07ee0f8f634275")
