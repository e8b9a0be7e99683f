"""The catalogs with pictures: a schema made of options, parts, and pictures that are kept."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from infra.catalogs.catalog import CatalogError
from infra.catalogs.inputs import PAPER, views
from infra.lab.experiment.data import heldout_before
from infra.lab.pictures.catalogs import FLIPKART, Catalog, load
from infra.lab.pictures.figures import VIEWS
from infra.lab.pictures.implicitave import read_implicitave, schema
from infra.lab.pictures.profiles import PROFILES
from infra.lab.pictures.run import as_sent, unseen
from serving.pictures.settings import LookingSettings
from serving.pictures.store import PictureStore
from tests.infra.lab.pictures.catalogs import OPTIONS, write_flipkart, write_implicitave
from trainer.judging.evaluate import inputs_of

SIZES = PROFILES["toy"].sizes
REAL = Path(__file__).parents[5] / "shared" / "data"


@pytest.fixture
def looking(tmp_path: Path) -> LookingSettings:
    return LookingSettings(store=str(tmp_path / "store"))


@pytest.fixture
def flipkart(tmp_path: Path, looking: LookingSettings) -> Catalog:
    write_flipkart(tmp_path / "flipkart")
    return load(tmp_path, "flipkart", SIZES["flipkart"], looking, 64)


def test_a_category_asks_for_what_its_products_have_of_the_domain_that_covers_most_of_them() -> (
    None
):
    made = schema("Mugs", [("Shape", "Round"), ("Colour", "red"), ("Colour", "brown")], OPTIONS)
    assert {a.name: a.values for a in made.attributes} == {
        "Colour": tuple(OPTIONS["Home"]["Colour"]),
        "Shape": ("Oval", "Round"),
    }


def test_of_a_product_only_the_attribute_is_asked_that_it_has(tmp_path: Path) -> None:
    write_implicitave(tmp_path / "implicitave")
    schemas, products, warnings = read_implicitave(tmp_path / "implicitave")
    assert products
    assert all([a.name for a in p.attributes(schemas)] == ["Colour"] for p in products)
    assert warnings == []


def test_a_catalog_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="--data"):
        read_implicitave(tmp_path)


def test_every_row_has_a_text_and_a_picture_that_is_kept(
    flipkart: Catalog, looking: LookingSettings
) -> None:
    store = PictureStore(looking.store)
    for row in [*flipkart.arrivals, *flipkart.calibration, *flipkart.test]:
        assert inputs_of(row) == "text+image"
        (sha256,) = row.pictures
        assert max(store.read(sha256).pixels().size) <= 64


def test_a_product_whose_picture_cannot_be_had_is_left_out_and_counted(
    tmp_path: Path, looking: LookingSettings
) -> None:
    write_flipkart(tmp_path / "flipkart")
    first, second, *_ = sorted((tmp_path / "flipkart" / "images").iterdir())
    first.unlink()
    second.write_bytes(b"no picture")
    made = load(tmp_path, "flipkart", SIZES["flipkart"], looking, 64)
    assert made.warnings[-1] == "left out 2 products without a picture"
    rows = [*made.arrivals, *made.calibration, *made.test]
    assert not {first.stem, second.stem} & {row.listing.listing_id for row in rows}


def test_what_is_shown_of_a_row_is_its_text_its_picture_or_both(flipkart: Catalog) -> None:
    row = flipkart.test[0]
    shown = views(row)
    assert {view: inputs_of(one) for view, one in shown.items()} == {view: view for view in VIEWS}
    assert inputs_of(unseen(shown["image"])) == "nothing"
    assert unseen(row) == shown["text"]


def test_arrivals_come_in_the_papers_mix_the_same_each_time(flipkart: Catalog) -> None:
    row = flipkart.arrivals[0]
    many = [replace(row, listing=replace(row.listing, listing_id=str(n))) for n in range(4000)]
    counts = Counter(inputs_of(one) for one in as_sent(many, "paper"))
    assert {kind: count / 4000 for kind, count in counts.items()} == pytest.approx(PAPER, abs=0.03)
    assert as_sent(many, "paper") == as_sent(many[::-1], "paper")[::-1]
    assert as_sent(many, "both") == many
    assert [inputs_of(one) for one in as_sent([row], "each")] == list(VIEWS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flipkart", "implicitave"])
def test_the_real_catalogs_fill_their_held_out_parts(
    name: str, looking: LookingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (REAL / name).is_dir():
        pytest.skip(f"the real catalog {name} is not here (../shared/data)")
    # To shrink a thousand pictures takes half a minute, and the split does not look at them.
    monkeypatch.setattr(
        "infra.lab.pictures.catalogs.keep",
        lambda folder, products, looking, edge: {p.product_id: "" for p in products if p.images},
    )
    sizes = PROFILES["laptop"].sizes[name]
    made = load(REAL, name, sizes, looking, 384)
    assert len(made.test) == sizes.test
    assert len(made.calibration) == sizes.calibration + sizes.gate
    before = heldout_before(FLIPKART) if name == "flipkart" else frozenset()
    assert not before & {row.listing.listing_id for row in made.test}
