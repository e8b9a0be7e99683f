"""What a comparison leaves in its folder."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from serving.pictures.picture import Picture
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from serving.settings import EndpointSettings, ServingSettings
from tests.builders import evaluated, make_rows
from trainer.data.dataset import Row
from trainer.errors import DataError
from trainer.judging.arms import adapter_arm, base_arms, endpoint_arm, fitted_arms
from trainer.judging.baselines import MajorityValue, NearestListing
from trainer.judging.comparison_report import compare, page, write_comparison
from trainer.judging.encoder_vectors import EncoderVectors
from trainer.judging.evaluate import METRICS, Evaluation, EvaluationKey
from trainer.judging.judge import judging
from trainer.progress import RoundProgress
from trainer.settings import TrainerSettings


def named(rows: list[Row], letter: str) -> list[Row]:
    """`rows` with ids of their own, of two categories, some with a picture."""
    return [
        replace(
            row,
            listing=replace(
                row.listing,
                listing_id=f"{letter}{number}",
                category="Mugs > Tea" if number % 2 else "Lamps",
            ),
            pictures=("ab" * 32,) if number % 3 else (),
        )
        for number, row in enumerate(rows)
    ]


TRAINING = named(make_rows(30), "t")
HELDOUT = named(make_rows(12, seed=1), "h")


@pytest.fixture(scope="module")
def evaluations() -> dict[str, Evaluation]:
    generators = (MajorityValue(TRAINING), NearestListing(TRAINING))
    return {
        g.name: evaluated(g, HELDOUT, EvaluationKey.of_baseline(g.name, "c")) for g in generators
    }


def test_it_leaves_tables_their_data_and_a_picture(
    evaluations: dict[str, Evaluation], tmp_path: Path
) -> None:
    comparison = compare(evaluations, "majority value", 0.25)
    write_comparison(comparison, tmp_path / "made")
    assert (tmp_path / "made" / "reliability.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((tmp_path / "made" / "comparison.json").read_text())
    assert [row["arm"] for row in data["rows"]] == list(evaluations)
    assert {
        name: rows[0]["listings"] for name, rows in data["groups"]["category group"].items()
    } == {
        "Lamps": 6,
        "Mugs": 6,
    }
    assert sum(b["count"] for b in data["reliability"]["nearest listing"]) == sum(
        score.suggested for score in evaluations["nearest listing"].listings
    )
    text = (tmp_path / "made" / "comparison.md").read_text()
    assert "Δ is the arm minus majority value" in text
    assert "### text+image" in text


def test_one_group_alone_is_not_shown_twice(evaluations: dict[str, Evaluation]) -> None:
    lamps = {
        arm: evaluation.groups(lambda score: score.category_group)["Lamps"]
        for arm, evaluation in evaluations.items()
    }
    assert "By category group" not in page(compare(lamps, "majority value", 0.25))


def test_all_arms_answer_the_same_listings_and_are_remembered(
    tmp_path: Path, tiny_base: Path
) -> None:
    serving = ServingSettings(
        base_model=str(tiny_base), dtype="float32", decoder="torch", device="cpu", threads=1
    )
    trainer = TrainerSettings(registry_dir=tmp_path / "registry")

    def judged() -> tuple[dict[str, Evaluation], float]:
        with (
            RoundProgress(tmp_path / "progress.json", show=False) as progress,
            judging(trainer, serving, HELDOUT[:4], tmp_path / "engine", progress) as judge,
        ):
            arms = {
                **base_arms(judge),
                **adapter_arm(judge, None),
                **fitted_arms(judge, TRAINING),
                **endpoint_arm(judge, EndpointSettings(), serving),
            }
            return arms, judge.seconds

    arms, seconds = judged()
    assert list(arms) == [
        "base",
        "base, schema shown",
        "base, one example",
        "majority value",
        "nearest listing",
        "nearest listing, filled up",
    ]
    assert len({evaluation.key for evaluation in arms.values()}) == len(arms)
    assert seconds > 0
    assert judged() == (arms, 0.0)
    comparison = compare(arms, "base", 0.25)
    assert all(len(row.differences) == len(METRICS) for row in comparison.rows[1:])


def plain(colour: str) -> Picture:
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(out, "JPEG")
    return Picture(out.getvalue())


def test_with_an_encoder_the_nearest_picture_is_an_arm_too(
    tmp_path: Path, tiny_base: Path, tiny_encoder: Path
) -> None:
    store = PictureStore(str(tmp_path / "pictures"))
    red, blue = plain("red"), plain("blue")
    store.write(red)
    store.write(blue)
    serving = ServingSettings(
        base_model=str(tiny_base),
        dtype="float32",
        device="cpu",
        pictures=1,
        looking=LookingSettings(store=str(tmp_path / "pictures")),
    )

    def silent(row: Row, picture: Picture) -> Row:
        bare = replace(row.listing, category="Mugs", title="", description="")
        return replace(row, listing=bare, pictures=(picture.sha256,))

    known = [silent(row, red if row.values["colour"] == ["red"] else blue) for row in TRAINING]
    asked = [silent(row, red) for row in HELDOUT[:3]]
    trainer, vectors = TrainerSettings(registry_dir=tmp_path), EncoderVectors(tiny_encoder)
    with (
        RoundProgress(tmp_path / "progress.json", show=False) as progress,
        judging(trainer, serving, asked, tmp_path / "engine", progress) as judge,
    ):
        arms = fitted_arms(judge, known, vectors)
        assert list(arms) == [
            "base, one example",
            "majority value",
            "nearest picture",
            "nearest picture, filled up",
        ]
    for score in arms["nearest picture"].listings:
        assert score.values["colour"] == ["red"]
        assert score.inputs == "image"


def test_a_baseline_must_not_know_what_is_held_out(tmp_path: Path, tiny_base: Path) -> None:
    serving = ServingSettings(
        base_model=str(tiny_base), dtype="float32", decoder="torch", device="cpu"
    )
    with (
        RoundProgress(tmp_path / "progress.json", show=False) as progress,
        judging(TrainerSettings(), serving, HELDOUT, tmp_path / "engine", progress) as judge,
        pytest.raises(DataError, match="1 training listings are held out too, such as h0"),
    ):
        fitted_arms(judge, [*TRAINING, HELDOUT[0]])
