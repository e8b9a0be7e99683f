"""What Google's Merchant product data specification asks of a product, as far as it describes one.

Names, supported values and lengths are those of the help pages of the specification
(support.google.com/merchants/answer/7052112 and the page of each attribute), as of 2026. Prices,
stock, links, shipping and the like describe an offer; GTIN and MPN are identifiers, which nobody
can read off a text. They are not asked for.

Where a attribute is asked is given by the ids of categories, for names differ between languages:
166 Apparel & Accessories, 1604 its Clothing, 187 its Shoes; 536 Home & Garden, 222 Electronics and
888 Vehicles & Parts have what carries an energy label in the EU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.category import AttributeType

APPAREL = frozenset(("166",))
SIZED = frozenset(("1604", "187"))
LABELLED = frozenset(("536", "222", "888"))


@dataclass(frozen=True)
class MerchantAttribute:
    """An attribute of the specification; `below` are ids of categories, None for all.

    required_below: where the specification requires it of free listings.
    """

    name: str
    type: AttributeType
    values: tuple[str, ...] = ()
    below: frozenset[str] | None = None
    required_below: frozenset[str] = frozenset()
    fields: Mapping[str, Any] = field(default_factory=dict)


def _text(length: int, several: bool = False) -> dict[str, Any]:
    return {"max_length": length, "multi_value": several}


_MEASURE = {"units": ("cm", "in"), "minimum": 0, "maximum": 3000}

ATTRIBUTES = (
    MerchantAttribute("brand", AttributeType.TEXT, fields=_text(70)),
    MerchantAttribute(
        "color", AttributeType.TEXT, required_below=APPAREL,
        fields=_text(40, several=True) | {"max_values": 3},
    ),
    MerchantAttribute("material", AttributeType.TEXT, fields=_text(200)),
    MerchantAttribute("pattern", AttributeType.TEXT, fields=_text(100)),
    MerchantAttribute(
        "gender", AttributeType.ENUM, ("male", "female", "unisex"), APPAREL, APPAREL
    ),
    MerchantAttribute(
        "age_group", AttributeType.ENUM, ("newborn", "infant", "toddler", "kids", "adult"),
        APPAREL, APPAREL,
    ),
    MerchantAttribute("size", AttributeType.TEXT, (), APPAREL, SIZED, _text(100)),
    MerchantAttribute(
        "size_type", AttributeType.ENUM,
        ("regular", "petite", "plus", "tall", "big", "maternity"), APPAREL,
        fields={"multi_value": True, "max_values": 2},
    ),
    MerchantAttribute(
        "size_system", AttributeType.ENUM,
        ("AU", "BR", "CN", "DE", "EU", "FR", "IT", "JP", "MEX", "UK", "US"), APPAREL,
    ),
    MerchantAttribute(
        "energy_efficiency_class", AttributeType.ENUM,
        ("A+++", "A++", "A+", "A", "B", "C", "D", "E", "F", "G"), LABELLED,
    ),
    MerchantAttribute("condition", AttributeType.ENUM, ("new", "refurbished", "used")),
    MerchantAttribute("adult", AttributeType.BOOLEAN),
    MerchantAttribute("is_bundle", AttributeType.BOOLEAN),
    MerchantAttribute("multipack", AttributeType.NUMBER, fields={"minimum": 2}),
    MerchantAttribute("product_length", AttributeType.NUMBER, fields=_MEASURE),
    MerchantAttribute("product_width", AttributeType.NUMBER, fields=_MEASURE),
    MerchantAttribute("product_height", AttributeType.NUMBER, fields=_MEASURE),
    MerchantAttribute(
        "product_weight", AttributeType.NUMBER,
        fields={"units": ("kg", "g", "lb", "oz"), "minimum": 0},
    ),
)  # fmt: skip
