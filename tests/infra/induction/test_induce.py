"""What is decided of a catalog's attributes, by whose values, and what it costs."""

from collections.abc import Iterable, Sequence

import pytest

from infra.induction.induce import Asked, Induction, induce
from infra.induction.limits import Limits
from schemas.category import DEFAULT_TEXT_LENGTH, Attribute, AttributeType

Values = Iterable[str | Sequence[str]]


def induced(entries: list[dict[str, object]], limits: Limits | None = None) -> Induction:
    return induce(lambda: iter(entries), limits)


def mugs(values: Values, category: str = "Mugs", name: str = "Note") -> list[dict[str, object]]:
    """A product for each of `values`; an empty one is an attribute that is not filled."""
    listed = [[value] if isinstance(value, str) else list(value) for value in values]
    return [{"category": category, "catalog": {name: value} if value else {}} for value in listed]


def asked(induction: Induction, category: str = "Mugs", name: str = "Note") -> Asked:
    found = next(one for one in induction.categories if one.schema.category == category)
    return next(one for one in found.asked if one.decision.attribute.name == name)


def decided(values: Values) -> Attribute:
    return asked(induced(mugs(values))).decision.attribute


def words(count: int) -> list[str]:
    """So many different texts that have nothing in common."""
    letters = "abcdefghijklmnop"
    return [
        f"{letters[n % 16]} thing {letters[n // 16 % 16]}{n * 7919 % 101}" for n in range(count)
    ]


# ------------------------------------------------------------------------------------- types


def test_values_that_come_again_are_an_enum_in_the_order_of_frequency() -> None:
    attribute = decided(["red"] * 20 + ["blue"] * 30)
    assert attribute.type is AttributeType.ENUM
    assert attribute.values == ("blue", "red")


def test_spellings_that_differ_in_letter_case_are_one_option_in_the_usual_spelling() -> None:
    induction = induced(mugs(["Red"] * 20 + ["RED"] * 5 + ["blue"] * 30))
    assert asked(induction).decision.attribute.values == ("blue", "Red")
    assert induction.lost == 0


def test_options_that_were_seen_once_are_cut_off_and_counted() -> None:
    induction = induced(mugs(["red"] * 50 + ["blue"] * 48 + ["sky", "rose"]))
    one = asked(induction)
    assert one.decision.attribute.values == ("red", "blue")
    assert "2 rare ones are cut off" in one.decision.why
    assert (one.cost.values, one.cost.left_out) == (100, 2)
    assert one.cost.reasons == {"not_allowed": 2}
    assert one.cost.examples == ["sky", "rose"]


def test_yes_and_no_are_a_boolean() -> None:
    assert decided(["Yes"] * 3 + ["no"]).type is AttributeType.BOOLEAN


def test_yes_no_and_a_third_word_that_comes_again_are_an_enum() -> None:
    assert decided(["yes"] * 30 + ["no"] * 30 + ["partly"] * 3).values == ("no", "yes", "partly")


def test_dates_are_a_date() -> None:
    assert decided([f"2024-03-{day:02}" for day in range(1, 25)]).type is AttributeType.DATE


def test_numbers_have_the_units_that_were_seen_and_room_above_the_largest() -> None:
    attribute = decided([f"{n} cm" for n in range(5, 35)] + ["120 mm", "90 mm", "3 CM"])
    assert attribute.type is AttributeType.NUMBER
    assert attribute.units == ("cm", "mm")
    assert (attribute.minimum, attribute.maximum) == (0, 1000)


@pytest.mark.parametrize(
    ("shouted", "others", "units", "maximum"),
    [
        ("ML", [], ("ml",), 10_000),
        ("ML", ["1 L", "0.75 L"], ("ml", "L"), 10_000),
        ("Ml", ["90 ml", "3 CL"], ("ml", "cl"), 10_000),
        ("MM", ["90 CM"], ("mm", "cm"), 10_000),
        ("MG", ["2 G"], ("mg", "g"), 100_000),
        ("G", ["2 KG", "3 KG"], ("g", "kg"), 100_000),
        ("MAH", [], ("mAh",), 10_000),
    ],
)
def test_units_in_capitals_are_those_that_things_are_sold_in(
    shouted: str, others: list[str], units: tuple[str, ...], maximum: float
) -> None:
    induction = induced(mugs([f"{n} {shouted}" for n in range(400, 430)] + others))
    attribute = asked(induction).decision.attribute
    assert (attribute.units, attribute.maximum) == (units, maximum)
    assert induction.lost == 0


@pytest.mark.parametrize(
    ("others", "units", "lost"),
    [
        (["900 kW"], {"MW", "kW"}, 0),
        (["4 mW", "6 mW"], {"mW"}, 30),  # as large as these, if read as mW
        (["0.005 W"], {"W"}, 30),
        (["5 mW", "5000 kW"], {"kW", "mW"}, 30),  # either
    ],
)
def test_capitals_that_may_be_either_are_a_unit_where_the_other_values_say_so_alone(
    others: list[str], units: set[str], lost: int
) -> None:
    induction = induced(mugs([f"{n} MW" for n in range(1, 31)] + others * 300))
    one = asked(induction)
    assert set(one.decision.attribute.units) == units
    assert induction.lost == one.cost.reasons["unit"] == lost
    assert ("30 values in MW may be in mW or MW" in one.decision.why) == bool(lost)


def test_capitals_that_may_be_either_and_nothing_says_which_are_no_number_and_it_says_why() -> None:
    one = asked(induced(mugs([f"{n} MW" for n in range(1, 31)])))
    assert one.decision.attribute.type is not AttributeType.NUMBER
    assert "30 values in MW may be in mW or MW; write which" in one.decision.why


def test_bits_and_bytes_are_units_of_their_own() -> None:
    attribute = decided([f"{n} GB" for n in range(1, 31)] + ["8 Gb"] * 3)
    assert attribute.units == ("GB", "Gb")
    assert attribute.maximum == 1000


@pytest.mark.parametrize("unit", ["m2", "m²", "cm3", "g/m2"])
def test_areas_and_volumes_are_numbers(unit: str) -> None:
    induction = induced(mugs([f"{n} {unit}" for n in range(1, 31)]))
    assert asked(induction).decision.attribute.type is AttributeType.NUMBER
    assert induction.lost == 0


def test_numbers_below_zero_leave_the_minimum_open() -> None:
    assert decided([f"{n} °C" for n in range(-20, 20)]).minimum is None


def test_units_that_do_not_convert_have_no_bounds() -> None:
    attribute = decided([f"{n} kg" for n in range(30)] + [f"{n} cm" for n in range(30)])
    assert attribute.units == ("cm", "kg")
    assert (attribute.minimum, attribute.maximum) == (None, None)


def test_leading_zeros_are_no_numbers_but_a_form() -> None:
    attribute = decided([f"{n * 37:06}" for n in range(40)])
    assert attribute.type is AttributeType.PATTERN
    assert attribute.pattern == "[0-9]{6}"


def test_what_is_named_as_an_identifier_is_never_a_number() -> None:
    values = [str(4006381333931 + 10 * n) for n in range(30)]
    attribute = asked(induced(mugs(values, name="EAN")), name="EAN").decision.attribute
    assert attribute.pattern == "[0-9]{13}"


def test_codes_of_one_form_are_a_pattern() -> None:
    attribute = decided([f"NV-{n * n}" for n in range(10, 40)])
    assert attribute.pattern == "[A-Z]{2}\\-[0-9]{3,4}"


def test_different_texts_are_a_text_with_room_for_the_longest_and_a_quarter_more() -> None:
    attribute = decided([*words(60), "x" * 93])
    assert attribute.type is AttributeType.TEXT
    assert attribute.max_length == 120


def test_few_short_texts_say_nothing_about_the_longest() -> None:
    one = asked(induced(mugs(["E27", "E14"])))
    assert one.decision.attribute.max_length == DEFAULT_TEXT_LENGTH
    assert one.decision.why == "it has too few values to say more (2)"


def test_one_very_long_text_among_hundreds_is_left_out() -> None:
    induction = induced(mugs([*words(300), "x" * 450]))
    assert asked(induction).decision.attribute.max_length == 200
    assert asked(induction).cost.reasons == {"too_long": 1}


def test_several_values_of_a_product_make_an_attribute_multi_valued() -> None:
    attribute = decided([["red", "blue"]] * 10 + [["red"]] * 20)
    assert attribute.multi_value
    assert attribute.values == ("red", "blue")


def test_a_written_list_counts_as_its_values() -> None:
    induction = induced(mugs(["red | blue"] * 10 + ["red"] * 20))
    assert asked(induction).decision.attribute.values == ("red", "blue")
    assert induction.lost == 0


def test_one_product_of_hundreds_with_several_values_is_left_out_and_said() -> None:
    induction = induced(mugs([["red", "blue"], *["red"] * 200, *["blue"] * 100]))
    assert not asked(induction).decision.attribute.multi_value
    assert "only 1 of 301 products have several" in asked(induction).decision.why
    assert asked(induction).cost.reasons == {"several": 2}


def test_what_stands_for_no_value_is_no_option() -> None:
    assert decided(["red"] * 30 + ["N/A"] * 30).values == ("red",)


def test_an_attribute_that_few_products_have_is_not_asked_for() -> None:
    entries = mugs(["red"] * 100) + mugs(["5 cm"], name="Depth")
    (category,) = induced(entries).categories
    assert [a.name for a in category.schema.attributes] == ["Note"]
    (left_out,) = category.left_out
    assert (left_out.name, left_out.why) == ("Depth", "1 of 101 products have it")
    assert left_out.cost.reasons == {"not_asked": 1}


# ------------------------------------------------------------------------------------- paths


def test_a_small_category_takes_over_what_its_parent_has() -> None:
    entries = mugs(["red", "blue"] * 20, "Kitchen > Mugs") + mugs(["red"], "Kitchen > Pots")
    one = asked(induced(entries), "Kitchen > Pots")
    assert one.taken_from == "Kitchen"
    assert one.decision.attribute.values == ("red", "blue")


def test_the_nearest_parent_with_enough_products_counts() -> None:
    entries = (
        mugs(["red", "blue"] * 20, "A > B > Mugs")
        + mugs([f"{n} cm" for n in range(40)], "A > Other")
        + mugs(["red"], "A > B > Pots")
    )
    assert asked(induced(entries), "A > B > Pots").taken_from == "A > B"


def test_a_small_category_asks_for_what_is_common_in_its_parent() -> None:
    entries = mugs(["red", "blue"] * 20, "Kitchen > Mugs") + mugs([()], "Kitchen > Pots")
    one = asked(induced(entries), "Kitchen > Pots")
    assert (one.taken_from, one.filled, one.cost.values) == ("Kitchen", 0, 0)


def test_a_small_category_whose_values_are_others_goes_by_its_own() -> None:
    entries = mugs(["red", "blue"] * 40, "K > Mugs") + mugs(["5 cm", "6 cm"], "K > Pots")
    one = asked(induced(entries), "K > Pots")
    assert one.taken_from is None
    assert "the rules of K would be right for 0% of them" in one.decision.why


def test_a_small_category_may_be_stricter_than_a_parent_of_texts() -> None:
    entries = mugs(words(60), "K > Mugs") + mugs([f"{n} cm" for n in range(8)], "K > Pots")
    assert asked(induced(entries), "K > Pots").decision.attribute.type is AttributeType.NUMBER


# ------------------------------------------------------------------------------------- bounds


def test_values_over_the_cap_are_counted_and_not_kept() -> None:
    one = asked(induced(mugs(words(80)), Limits(distinct=10)))
    assert one.decision.attribute.type is AttributeType.TEXT
    assert "10 different values or more among 80" in one.decision.why


def test_a_catalog_with_more_categories_than_there_is_room_for_says_so() -> None:
    entries = [entry for n in range(50) for entry in mugs(["red"], f"C{n}")]
    induction = induced(entries, Limits(kept=20))
    assert 0 < len(induction.categories) <= 20
    assert induction.unseen >= 30


def test_the_products_are_read_twice_and_the_result_is_the_same_again() -> None:
    entries = mugs(words(30)) + mugs(["red", "blue"] * 20, "Pots")
    reads = []

    def products() -> list[dict[str, object]]:
        reads.append(1)
        return entries

    assert induce(products) == induce(products)
    assert len(reads) == 4


@pytest.mark.parametrize("name", ["", " x", "a\nb", "n" * 101])
def test_a_name_that_no_schema_takes_is_left_out_with_its_reason(name: str) -> None:
    (category,) = induced(mugs(["red"] * 30, name=name)).categories
    assert not category.schema.attributes
    assert category.left_out[0].cost.left_out == 30
