"""What calibrates and what judges: disjoint, and new to every adapter."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.events import RetrainRequest
from tests.builders import make_rows, write_heldout, write_manifest
from tests.trainer.data.test_registry import make_blob, make_lineage
from trainer.data.dataset import Row, rows_hash
from trainer.data.registry import Registry
from trainer.errors import DataError
from trainer.judging.heldout import apart, fit_to_train, read_held_out, taught_before
from trainer.settings import TrainerSettings


def ids(rows: list[Row]) -> set[str]:
    return {row.listing.listing_id for row in rows}


def order(folder: Path, heldout: list[Row], **changes: object) -> RetrainRequest:
    file = write_manifest(heldout or make_rows(1), folder / "heldout.parquet", "heldout")
    given = {
        "pool": "default", "round": 2, "parent_id": "default-r1-a1", "parent_hash": "1" * 64,
        "selection": "gap", "k": 4, "min_gap": 0.0, "files": [file],
    }  # fmt: skip
    return RetrainRequest.model_validate(given | changes)


def like(row: Row, listing_id: str = "other") -> Row:
    """Another listing whose title is nearly that of `row`."""
    listing = replace(row.listing, listing_id=listing_id, title=f"{row.listing.title}!")
    return replace(row, listing=listing)


def test_some_calibrate_and_the_others_judge_always_the_same(tmp_path: Path) -> None:
    rows, trainer = make_rows(60, seed=3), TrainerSettings(calibration_share=0.3)
    found = read_held_out(trainer, order(tmp_path, rows), [])
    assert ids(found.calibrating) | ids(found.judging) == ids(rows)
    assert not ids(found.calibrating) & ids(found.judging)
    assert 8 <= len(found.calibrating) <= 28
    fewer = read_held_out(trainer, order(tmp_path, rows[:30]), [])
    assert ids(fewer.judging) <= ids(found.judging)
    assert rows_hash(fewer.judging) != rows_hash(found.judging)


def test_what_is_like_a_listing_that_was_trained_on_neither_calibrates_nor_judges(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = make_rows(40, seed=3)
    taught = [like(rows[0]), replace(make_rows(1)[0], listing=rows[1].listing)]
    found = read_held_out(TrainerSettings(), order(tmp_path, rows), taught)
    assert ids(found.calibrating) | ids(found.judging) == ids(rows[2:])
    assert "2 of 40 held-out listings are like listings that were trained on" in caplog.text


def test_a_fixed_file_judges_beside_the_stream(tmp_path: Path) -> None:
    rows, fixed = make_rows(20, seed=3), make_rows(5, seed=9)
    without = read_held_out(TrainerSettings(), order(tmp_path, rows), [])
    trainer = TrainerSettings(heldout=write_heldout(fixed, tmp_path / "fixed.jsonl"))
    found = read_held_out(trainer, order(tmp_path, [*rows, like(fixed[0])]), [])
    assert found.judging == [*fixed, *without.judging]
    assert found.calibrating == without.calibrating
    alone = read_held_out(trainer, order(tmp_path, rows[:1], files=[]), [])
    assert alone.judging == fixed


def test_nothing_to_judge_on_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    rows = make_rows(2, seed=3)
    with pytest.raises(DataError, match=r"brings 2 held-out listings, 2 of them like others.*set"):
        read_held_out(TrainerSettings(), order(tmp_path, rows), rows)


def test_what_is_like_a_listing_of_the_fixed_file_is_not_trained_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, fixed = make_rows(6), make_rows(3, seed=9)
    trainer = TrainerSettings(heldout=write_heldout(fixed, tmp_path / "fixed.jsonl"))
    kept = fit_to_train([like(fixed[0]), *train], trainer)
    assert ids(kept) == ids(train)
    assert "1 of 7 listings are like listings of" in caplog.text
    with pytest.raises(DataError, match="must not overlap what is trained on"):
        fit_to_train(fixed, trainer)
    assert fit_to_train(train, TrainerSettings()) == train


def test_what_was_taught_goes_back_over_all_rounds_that_the_registry_knows(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    for number, parent in ((1, "base"), (2, "default-r1-a1")):
        name = f"default-r{number}-a1"
        blob = make_blob(name)
        file = write_manifest(make_rows(2, seed=number), tmp_path / f"{number}.parquet")
        registry.put(blob, make_lineage(name, blob, parent, number), [file])
    both = ids(make_rows(2, seed=1)) | ids(make_rows(2, seed=2))
    after_two = order(tmp_path, [], parent_id="default-r2-a1", round=3)
    assert ids(taught_before(after_two, registry)) == both
    again = order(tmp_path, [], look=2)  # of the adapter of round 2
    assert ids(taught_before(again, registry)) == both
    assert taught_before(order(tmp_path, [], parent_id="elsewhere"), registry) == []


def test_other_categories_are_not_compared() -> None:
    mug = make_rows(1)[0]
    bowl = replace(mug, listing=replace(mug.listing, listing_id="bowl", category="Bowls"))
    assert apart([bowl], [mug]) == ([bowl], [])


def test_without_titles_descriptions_are_compared() -> None:
    rows = [
        replace(row, listing=replace(row.listing, title="", description=text))
        for row, text in zip(make_rows(3), ("A mug, 300 ml", "A mug - 300 ML", ""), strict=True)
    ]
    assert apart(rows[1:], rows[:1]) == ([rows[2]], [rows[1]])
    assert apart(rows[2:], rows[:1]) == (rows[2:], [])


def test_without_any_text_pictures_are_compared() -> None:
    mug, other, third = make_rows(3)
    shown = replace(mug, pictures=("a" * 64, "b" * 64))
    bare = replace(other.listing, title="", description="")
    alone = replace(other, listing=bare, pictures=("b" * 64,))
    assert apart([alone], [shown]) == ([], [alone])
    assert apart([replace(alone, pictures=("c" * 64,))], [shown])[1] == []
    elsewhere = replace(alone, listing=replace(bare, category="Bowls"))
    assert apart([elsewhere], [shown])[1] == []
    assert apart([replace(third, pictures=("a" * 64,))], [shown])[1] == []  # its text is its own
