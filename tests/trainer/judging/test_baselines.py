"""Answers without a model, and what they take from the training listings."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.events import ValueLists
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.pictures.picture import Picture
from tests.builders import ATTRIBUTES, evaluated, make_rows
from trainer.data.dataset import Row
from trainer.judging.baselines import MajorityValue, NearestExample, NearestListing, NearestPicture
from trainer.judging.evaluate import EvaluationKey
from trainer.judging.intervals import Floats


def listing(title: str, category: str = "Mugs") -> Listing:
    return Listing(f"{category} {title}", category, title)


def row(title: str, category: str = "Mugs", **values: list[str]) -> Row:
    return Row(listing(title, category), ATTRIBUTES, values)


TRAINING = [
    row("tall red mug", colour=["red"], weight=["300 g"]),
    row("tall blue mug", colour=["blue"], material=["glass"], uses=["tea", "soup"]),
    row("small blue mug", colour=["blue"], material=["steel"]),
    row("blue mug with a green handle", colour=["mauve"]),  # a value that the schema refuses
    row("tall red lamp", "Lamps", colour=["green"]),
]


def ask(baseline: MajorityValue | NearestListing, asked: Listing) -> ValueLists:
    return baseline.generate(GenerationRequest(asked, ATTRIBUTES)).values


def test_the_majority_value_is_that_of_the_category() -> None:
    majority = MajorityValue(TRAINING)
    # Of two materials, each seen once, the one seen first.
    expected = {"colour": ["blue"], "material": ["glass"], "weight": ["300 g"]}
    assert ask(majority, listing("red mug")) == {**expected, "uses": ["tea", "soup"]}
    assert ask(majority, listing("red mug", "Lamps")) == {"colour": ["green"]}
    assert ask(majority, listing("red mug", "Chairs")) == {}
    result = majority.generate(GenerationRequest(listing("mug"), ATTRIBUTES))
    assert result.confidence["colour"] == pytest.approx(2 / 3)


def test_the_nearest_listing_is_of_the_category_and_its_blanks_stay_blank() -> None:
    nearest = NearestListing(TRAINING)
    assert ask(nearest, listing("tall red mug")) == {"colour": ["red"], "weight": ["300 g"]}
    assert ask(nearest, listing("a small mug")) == {"colour": ["blue"], "material": ["steel"]}
    assert ask(nearest, listing("tall red mug", "Chairs")) == {}


def test_filled_up_each_blank_comes_from_the_next_listing_that_has_a_value() -> None:
    filled = NearestListing(TRAINING, fill_from_next=True)
    assert ask(filled, listing("tall red mug")) == {
        "colour": ["red"],
        "weight": ["300 g"],
        "material": ["glass"],
        "uses": ["tea", "soup"],
    }
    result = filled.generate(GenerationRequest(listing("tall red mug"), ATTRIBUTES))
    assert result.confidence["colour"] == pytest.approx(1.0)
    assert 0 < result.confidence["material"] < 1


def test_a_baseline_is_evaluated_as_an_adapter_is() -> None:
    rows = make_rows(40)
    heldout = [replace(r, listing=replace(r.listing, listing_id=f"h{i}")) for i, r in
               enumerate(make_rows(10, seed=1))]  # fmt: skip
    for baseline in (MajorityValue(rows), NearestListing(rows)):
        key = EvaluationKey.of_baseline(baseline.name, "c" * 64)
        made = evaluated(baseline, heldout, key)
        assert made.adapter_id == baseline.name
        assert made.key.mode is None
        assert all(score.suggestions for score in made.listings)
        recall = made.metrics(0.25).recall.value
        # Colour and material stand in the text, which only one of them reads.
        assert recall > 0.4 if isinstance(baseline, NearestListing) else recall < 0.4


def test_the_worked_example_is_the_nearest_listing_of_the_category() -> None:
    small = row("small red mug", colour=["red"])
    large = row("large blue travel mug", colour=["blue"])
    lamp = row("large blue travel lamp", "Lamps", colour=["blue"])
    blank = row("large blue travel mug too")
    examples = NearestExample([small, large, lamp, blank])
    shown = examples(row("a large mug for travel in blue"))
    assert shown is not None
    assert (shown.listing, shown.values) == (large.listing, {"colour": ["blue"]})


def test_without_one_of_its_category_the_first_of_any_shows_the_format() -> None:
    mug = row("small red mug", colour=["red"])
    shown = NearestExample([mug])(row("large lamp", "Lamps"))
    assert shown is not None
    assert shown.listing == mug.listing
    assert NearestExample([])(mug) is None


def test_a_listing_is_never_its_own_example() -> None:
    mug, other = row("small red mug", colour=["red"]), row("tall green mug", colour=["green"])
    shown = NearestExample([mug, other])(mug)
    assert shown is not None
    assert shown.listing == other.listing
    assert NearestExample([mug])(mug) is None


def test_a_listing_without_a_text_has_no_nearest_text_and_is_no_neighbour() -> None:
    silent = row("", colour=["green"], washable=["yes"])
    for fill in (False, True):
        nearest = NearestListing([silent, *TRAINING], fill_from_next=fill)
        assert ask(nearest, listing("")) == {}
        assert "washable" not in ask(nearest, listing("small mug"))
    shown = NearestExample([row("lamp", "Lamps", colour=["red"]), silent, *TRAINING])(row(""))
    assert shown is not None
    assert shown.listing == TRAINING[0].listing
    assert NearestExample([silent])(row("")) is None


VECTORS = {b"east": (2.0, 0.0), b"north": (0.0, 1.0), b"north-east": (1.0, 1.1), b"nothing": (0, 0)}


def vector(picture: Picture) -> Floats:
    return np.array(VECTORS[picture.data], np.float64)


def nearest_picture(fill_from_next: bool = False) -> NearestPicture:
    """Mugs seen from the east and, second of two pictures, from the north; a lamp from the east."""
    seen = {0: [b"east"], 1: [b"nothing", b"north"], 4: [b"east"]}
    pictures = {TRAINING[place].listing.listing_id: data for place, data in seen.items()}

    def of(row: Row) -> list[Picture]:
        return [Picture(data) for data in pictures.get(row.listing.listing_id, [])]

    return NearestPicture(TRAINING, of, vector, fill_from_next)


def look(nearest: NearestPicture, *pictures: bytes, category: str = "Mugs") -> ValueLists:
    asked = GenerationRequest(listing("", category), ATTRIBUTES, pictures=pictures)
    return nearest.generate(asked).values


def test_the_nearest_picture_is_of_the_category_and_its_listings_blanks_stay_blank() -> None:
    nearest = nearest_picture()
    assert look(nearest, b"east") == {"colour": ["red"], "weight": ["300 g"]}
    first = {"colour": ["blue"], "material": ["glass"], "uses": ["tea", "soup"]}
    assert look(nearest, b"north") == look(nearest, b"north-east") == first
    assert look(nearest, b"north", category="Lamps") == {"colour": ["green"]}
    assert look(nearest, b"east", category="Chairs") == {}


def test_of_several_pictures_the_most_similar_pair_counts_once_a_listing() -> None:
    nearest = nearest_picture(fill_from_next=True)
    assert look(nearest, b"nothing", b"north")["colour"] == ["blue"]
    assert look(nearest, b"east") == {
        "colour": ["red"],
        "weight": ["300 g"],
        "material": ["glass"],
        "uses": ["tea", "soup"],
    }
    asked = GenerationRequest(listing(""), ATTRIBUTES, pictures=(b"north-east",))
    sure = nearest.generate(asked).confidence
    assert sure["colour"] == pytest.approx(1.1 / np.hypot(1, 1.1))
    assert sure["weight"] == pytest.approx(1 / np.hypot(1, 1.1))


def test_a_listing_without_a_picture_has_no_nearest_one() -> None:
    assert look(nearest_picture(fill_from_next=True)) == {}
    assert look(NearestPicture([], lambda row: [], vector), b"east") == {}
