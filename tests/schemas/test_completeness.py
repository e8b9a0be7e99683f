"""Completeness, gap, deficit and edits: shares of what was asked for."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.category import Attribute, AttributeType
from schemas.completeness import completeness, deficit, edits, gap, valid_names

ATTRIBUTES = [
    Attribute(name=name, type=AttributeType.ENUM, values=("x", "y")) for name in ("a", "b", "c")
]
listings = st.dictionaries(
    st.sampled_from(("a", "b", "c", "not asked")),
    st.lists(st.sampled_from(("x", "y", "illegal")), max_size=2),
)


def test_completeness_counts_the_legal_values_among_those_asked_for() -> None:
    values = {"a": ["x"], "b": ["illegal"], "c": [], "not asked": ["x"]}
    assert valid_names(ATTRIBUTES, values) == {"a"}
    assert completeness(ATTRIBUTES, values) == 1 / 3


def test_any_allowed_value_counts_right_or_wrong() -> None:
    assert completeness(ATTRIBUTES, {"a": ["x"]}) == completeness(ATTRIBUTES, {"a": ["y"]})


def test_a_model_that_fills_other_attributes_has_no_gap_and_yet_a_deficit() -> None:
    catalog, model = {"a": ["x"]}, {"b": ["x"], "c": ["y"]}
    assert gap(ATTRIBUTES, catalog, model) == -1 / 3
    assert deficit(ATTRIBUTES, catalog, model) == 1 / 3


def test_an_invalid_prediction_is_a_deficit() -> None:
    assert deficit(ATTRIBUTES, {"a": ["x"]}, {"a": ["illegal"]}) == 1 / 3


def test_edits_also_see_values_that_are_legal_and_wrong() -> None:
    catalog, model = {"a": ["x"], "b": ["x"]}, {"a": ["y"], "c": ["x"]}
    assert deficit(ATTRIBUTES, catalog, model) == 1 / 3
    assert edits(ATTRIBUTES, catalog, model) == 2 / 3


def test_a_value_that_the_seller_took_away_or_made_illegal_is_no_edit() -> None:
    assert edits(ATTRIBUTES, {"b": ["illegal"]}, {"a": ["x"], "b": ["x"]}) == 0


def test_of_nothing_asked_all_shares_are_zero() -> None:
    assert completeness([], {"a": ["x"]}) == deficit([], {"a": ["x"]}, {}) == 0.0
    assert gap([], {"a": ["x"]}, {}) == edits([], {"a": ["x"]}, {}) == 0.0


@given(listings, listings)
def test_the_shares_keep_their_bounds(
    catalog: dict[str, list[str]], model: dict[str, list[str]]
) -> None:
    assert 0 <= completeness(ATTRIBUTES, catalog) <= 1
    assert -1 <= gap(ATTRIBUTES, catalog, model) <= 1
    assert 0 <= deficit(ATTRIBUTES, catalog, model) <= completeness(ATTRIBUTES, catalog)
    assert gap(ATTRIBUTES, catalog, model) <= deficit(ATTRIBUTES, catalog, model) + 1e-12
    assert deficit(ATTRIBUTES, catalog, model) <= edits(ATTRIBUTES, catalog, model)
    assert edits(ATTRIBUTES, catalog, model) <= completeness(ATTRIBUTES, catalog)


@given(listings)
def test_a_listing_has_neither_gap_nor_deficit_nor_edits_against_itself(
    values: dict[str, list[str]],
) -> None:
    assert gap(ATTRIBUTES, values, values) == deficit(ATTRIBUTES, values, values) == 0
    assert edits(ATTRIBUTES, values, values) == 0
