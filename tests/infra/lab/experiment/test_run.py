"""The experiment at toy size: it comes to its end, a second run computes nothing, and the results
folder holds what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from infra.lab.experiment import lab
from infra.lab.experiment import run as experiment
from infra.lab.experiment.data import DATA_SETS
from infra.lab.experiment.profiles import PROFILES, REFERENCE, Profile
from infra.lab.experiment.report import FINDINGS
from infra.settings import Settings, load_settings
from tests.infra.lab.experiment.catalog import write_catalog

pytestmark = pytest.mark.slow

TOY = PROFILES["toy"]
OTHER_STEPS = ("cumulative-scaled+deficit", "progressive+random (same tokens)")


@pytest.fixture(scope="module")
def world(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, and with a catalog by the name of a real one."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "tiny").symlink_to(tiny_base)
    write_catalog(folder / "data" / "flipkart")
    return folder


def run_toy(world: Path, profile: Profile = TOY, results: Path | None = None) -> Path:
    return experiment.run(
        profile,
        world / "data",
        DATA_SETS[:1],
        settings(world),
        world / "runs",
        results or world / "results",
        Console(quiet=True),
    )


def settings(world: Path) -> Settings:
    return load_settings().changed(
        local={"base_model": str(world / "tiny")},
        serving={"dtype": "float32", "decoder": "torch", "device": "cpu", "threads": 1},
    )


@pytest.fixture(scope="module")
def results(world: Path) -> Path:
    return run_toy(world)


def test_every_arm_has_all_its_rounds_and_every_round_its_scores(results: Path) -> None:
    (data,) = json.loads((results / "figures.json").read_text())["data_sets"]
    assert [arm["arm"] for arm in data["arms"]] == [arm.name for arm in TOY.arms]
    for arm in data["arms"]:
        assert [made["number"] for made in arm["rounds"]] == list(range(1, TOY.rounds + 1))
        for made in arm["rounds"]:
            assert len(made["losses"]) == made["steps"]
            assert made["steps"] == TOY.steps or arm["arm"] in OTHER_STEPS
            assert len(made["test"]["right"]) == data["parts"]["test"]
        assert len(arm["constrained"]["test"]["right"]) == data["parts"]["test"]


def test_arms_that_select_alike_share_their_first_round(results: Path) -> None:
    (data,) = json.loads((results / "figures.json").read_text())["data_sets"]
    first = {arm["arm"]: arm["rounds"][0]["adapter"] for arm in data["arms"]}
    assert first[REFERENCE] == first["cumulative+deficit"] == first["replay+deficit"]
    assert first[REFERENCE] != first["progressive+random"]


def test_no_listing_is_trained_on_twice_as_new(results: Path) -> None:
    (data,) = json.loads((results / "figures.json").read_text())["data_sets"]
    for arm in data["arms"]:
        selected = [listing for made in arm["rounds"] for listing in made["selected"]]
        assert len(selected) == len(set(selected))
        assert not set(selected) & set(data["test"]["listing_ids"])


def test_the_figures_say_what_was_held_out(results: Path) -> None:
    (data,) = json.loads((results / "figures.json").read_text())["data_sets"]
    held_out = {name: len(listings) for name, listings in data["heldout"].items()}
    assert held_out | {"arrivals": data["parts"]["arrivals"]} == data["parts"]
    assert sorted(data["test"]["listing_ids"]) == data["heldout"]["test"]


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


def test_a_run_that_was_killed_goes_on_with_what_it_has(
    world: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it had been killed before the last adapter was whole: only this one is trained again.
    data = json.loads((results / "figures.json").read_text())["data_sets"][0]
    last = data["arms"][-1]["rounds"][-1]["adapter"]
    adapters = sorted((world / "runs" / "adapters").glob("*/adapter.safetensors"))
    (lost,) = [path for path in adapters if experiment_hash(path) == last]
    lost.unlink()
    trained: list[str] = []
    train = lab.train
    monkeypatch.setattr(lab, "train", lambda *a: (trained.append(a[-2]), train(*a)))
    assert run_toy(world) == results
    assert trained == [lost.parent.name]
    # The same seed gives the same adapter, so its answers are known already.
    assert experiment_hash(lost) == last


def experiment_hash(path: Path) -> str:
    from serving.adapter_file import blob_hash

    return blob_hash(path.read_bytes())


def test_the_page_has_its_tables_and_what_a_person_found(world: Path, results: Path) -> None:
    (results / FINDINGS).write_text("## Findings\n\nNothing held.\n")
    assert experiment.report(TOY, world / "runs", world / "results") == results
    page = (results / "README.md").read_text()
    assert "Nothing held." in page
    assert (results / FINDINGS).read_text() == "## Findings\n\nNothing held.\n"
    for heading in (
        "By round and arm",
        "Free and constrained",
        "How constrained mode was calibrated",
        "Learning rates",
        "What can be known from the text",
    ):
        assert f"### {heading}" in page
    for picture in ("loss", "shares", "sweep"):
        assert f"flipkart-{picture}.png" in page
        assert (results / f"flipkart-{picture}.png").stat().st_size > 1000
    assert sum(path.stat().st_size for path in results.iterdir()) < 1_000_000


def test_a_profile_may_test_the_last_round_only(world: Path, results: Path, tmp_path: Path) -> None:
    folder = run_toy(world, replace(TOY, every_round_tested=False), tmp_path)
    (data,) = json.loads((folder / "figures.json").read_text())["data_sets"]
    tested = [[made["test"] is not None for made in arm["rounds"]] for arm in data["arms"]]
    assert tested == [[False, True]] * len(TOY.arms)
    assert "sealed test" in (folder / "README.md").read_text()
