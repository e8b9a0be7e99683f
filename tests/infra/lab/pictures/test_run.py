"""What pictures bring, at toy size: it comes to its end, a second run computes nothing, and the
results folder holds what it says."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from infra.lab.experiment import lab
from infra.lab.pictures import run as pictures
from infra.lab.pictures.figures import READS, SEES, VIEWS
from infra.lab.pictures.profiles import PROFILES
from infra.settings import load_settings
from schemas.errors import ListuneError
from serving.adapter_file import read_adapter
from tests.infra.lab.pictures.catalogs import write_flipkart, write_implicitave

pytestmark = pytest.mark.slow

TOY = PROFILES["toy"]


@pytest.fixture(scope="module")
def world(tiny_base: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, an encoder and catalogs by the names of real ones."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "tiny").symlink_to(tiny_base)
    (folder / "encoder").symlink_to(tiny_encoder)
    write_flipkart(folder / "data" / "flipkart")
    write_implicitave(folder / "data" / "implicitave")
    return folder


def run_toy(world: Path) -> Path:
    settings = load_settings().changed(
        local={"base_model": str(world / "tiny")},
        serving={
            "dtype": "float32",
            "decoder": "torch",
            "device": "cpu",
            "threads": 1,
            "encoder": str(world / "encoder"),
        },
    )
    console = Console(quiet=True)
    return pictures.run(TOY, world / "data", settings, world / "runs", world / "results", console)


@pytest.fixture(scope="module")
def results(world: Path) -> Path:
    return run_toy(world)


def test_everyone_is_judged_in_each_view_that_they_can_answer(results: Path) -> None:
    figures = json.loads((results / "figures.json").read_text())
    assert [one["name"] for one in figures["catalogs"]] == list(TOY.sizes)
    for data in figures["catalogs"]:
        for view in VIEWS:
            answers = data["answers"][view]
            assert {SEES, READS, "majority"} <= answers.keys()
            assert ("nearest text" in answers) == ("text" in view)
            assert ("nearest picture" in answers) == ("image" in view)
            for scores in answers.values():
                assert all(len(one["right"]) == data["parts"]["test"] for one in scores)


def test_to_who_does_not_look_a_picture_beside_the_text_changes_nothing(results: Path) -> None:
    figures = json.loads((results / "figures.json").read_text())
    for data in figures["catalogs"]:
        assert data["answers"]["text"][READS] == data["answers"]["text+image"][READS]


def test_only_the_arm_that_looks_has_a_projector(world: Path, results: Path) -> None:
    figures = json.loads((results / "figures.json").read_text())
    files = [path.read_bytes() for path in (world / "runs").glob("adapters/*/adapter.safetensors")]
    sees = {adapter.hash: adapter.sight is not None for adapter in map(read_adapter, files)}
    assert {(one["arm"], sees[one["adapter"]]) for one in figures["trained"]} == {
        (SEES, True),
        (READS, False),
    }


def test_what_was_tried_is_judged_on_calibration_listings_only(results: Path) -> None:
    figures = json.loads((results / "figures.json").read_text())
    held_out = {data["name"]: data["heldout"] for data in figures["catalogs"]}
    tried = [(one["about"], one["catalog"]) for one in figures["trials"]]
    assert tried == [("place", "flipkart"), ("mix", "implicitave")]
    for one in figures["trials"]:
        assert sorted(one["asked"]["listing_ids"]) == held_out[one["catalog"]]["calibration"]


def test_a_second_run_computes_nothing_and_writes_the_same(
    world: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (results / "figures.json").read_bytes()
    monkeypatch.setattr("trainer.judging.judge.Engine", nothing)
    monkeypatch.setattr(lab, "train", nothing)
    assert run_toy(world) == results
    assert (results / "figures.json").read_bytes() == before


def nothing(*_: object) -> None:
    pytest.fail("something was computed again")


def test_the_page_fits_80_columns_and_tells_of_every_goal(world: Path, results: Path) -> None:
    page = (results / "README.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("|") and len(line) > 80] == []
    assert page.count("picture ≥ 1.5 × majority") == len(TOY.sizes)
    for name in TOY.sizes:
        assert (results / f"{name}-recall.png").stat().st_size > 1000
    (results / "findings.md").write_text("Nothing held.\n")
    assert pictures.report(world / "runs", world / "results") == results
    assert "Nothing held." in (results / "README.md").read_text()


def test_a_report_of_nothing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ListuneError, match="run the experiment first"):
        pictures.report(tmp_path / "runs", tmp_path)
