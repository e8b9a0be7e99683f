"""Sellers: they accept what is right, edit most of what is wrong, and fill some of the blanks."""

from infra.catalogs.catalog import Product
from infra.catalogs.generate import generate
from infra.catalogs.sellers import Seller, SellerSettings
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, Status, ValueLists
from schemas.values import is_valid

COLOR = Attribute(name="Color", type=AttributeType.ENUM, values=("red", "blue"))
SIZES = Attribute(name="Sizes", type=AttributeType.ENUM, values=("S", "M"), multi_value=True)
NOTE = Attribute(name="Note", type=AttributeType.TEXT)
SCHEMAS = CategorySchemas([CategorySchema(category="Lamps", attributes=(COLOR, SIZES, NOTE))])
TRUTH: ValueLists = {"Color": ["red"], "Sizes": ["S", "M"], "Note": ["1 inch", '1"']}


def lamp(number: int = 0, truth: ValueLists = TRUTH) -> Product:
    """A lamp whose seller knows `truth`."""
    return Product(f"p{number}", "Lamps", "Lamp", "", truth)


def shown(**values: list[str]) -> ListingPrediction:
    """A prediction of `values`."""
    return ListingPrediction(
        prediction_id="p",
        request_id="r",
        listing_id="l",
        category="Lamps",
        category_schema_hash="h",
        input_hash="i",
        status=Status.OK,
        values=values,
    )


def seller(**rates: float) -> Seller:
    """A seller with other rates than the default."""
    return Seller(7, SellerSettings.model_validate(rates))


def test_right_values_are_accepted_as_shown() -> None:
    prediction = shown(Color=["red"], Sizes=["M", "S"], Note=['1"'])
    submitted = seller(fill_rate=0, edit_rate=0).review(lamp(), prediction, SCHEMAS)
    assert submitted == prediction.values


def test_wrong_values_are_put_right_by_a_careful_seller_and_kept_by_a_careless_one() -> None:
    prediction = shown(Color=["blue"], Sizes=["M"])
    careful = seller(fill_rate=0, edit_rate=1).review(lamp(), prediction, SCHEMAS)
    assert careful == {"Color": ["red"], "Sizes": ["S", "M"]}
    careless = seller(fill_rate=0, edit_rate=0).review(lamp(), prediction, SCHEMAS)
    assert careless == prediction.values


def test_blanks_are_filled_with_one_spelling_of_the_truth() -> None:
    submitted = seller(fill_rate=1).review(lamp(), shown(), SCHEMAS)
    assert submitted == {"Color": ["red"], "Sizes": ["S", "M"], "Note": ["1 inch"]}


def test_what_the_catalog_does_not_know_is_taken_back_unless_the_rate_says_otherwise() -> None:
    prediction = shown(Note=["guess"])
    assert seller().review(lamp(truth={}), prediction, SCHEMAS) == {}
    kept = seller(keep_unknown_rate=1).review(lamp(truth={}), prediction, SCHEMAS)
    assert kept == {"Note": ["guess"]}


def test_a_seller_decides_the_same_again_whatever_came_before() -> None:
    one, other = seller(), seller()
    lamps = [lamp(number) for number in range(50)]
    first = [one.review(product, shown(), SCHEMAS) for product in lamps]
    again = [other.review(product, shown(), SCHEMAS) for product in reversed(lamps)]
    assert first == again[::-1]
    assert first != [Seller(8, SellerSettings()).review(p, shown(), SCHEMAS) for p in lamps]


def test_a_suggestion_for_one_attribute_changes_nothing_about_the_others() -> None:
    for number in range(50):
        without = seller().review(lamp(number), shown(), SCHEMAS)
        with_color = seller().review(lamp(number), shown(Color=["red"]), SCHEMAS)
        assert without | {"Color": ["red"]} == with_color


def test_about_57_percent_of_the_generated_attributes_are_filled_and_all_of_them_legally() -> None:
    schemas, products = generate(7, 120)
    asked = filled = 0
    for product in products:
        submitted = seller().review(product, shown(), schemas)
        attributes = schemas[product.category].by_name
        assert all(is_valid(attributes[name], values) for name, values in submitted.items())
        asked += len(attributes)
        filled += len(submitted)
    assert 0.54 < filled / asked < 0.60
