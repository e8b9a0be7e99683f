"""What an Amazon product type definition asks for beside the attributes of a product.

The document does not say which properties are of the offer: the groups of properties stand in the
API's answer that links to it. The names are those of public definitions.
"""

import re
from collections.abc import Mapping
from typing import Any

MARK = "selling-partners/definitions/product-types"
SELECTORS = frozenset(("marketplace_id", "language_tag", "audience"))
"""They say for whom a value is, and are no value."""

_OFFER = re.compile(
    r"(?x) purchasable_offer | fulfillment_availability | list_price | skip_offer | map_policy"
    r" | condition_(?:type|note) | merchant_(?:shipping_group|release_date|suggested_asin)"
    r" | max_order_quantity | product_tax_code | product_site_launch_date | gift_options"
    r" | .*_image_locator(?:_.*)? | image_locator_.* | package_contains_sku | package_level"
    r" | parentage_level | child_parent_sku_relationship | variation_theme | is_exclusive_product"
    r" | externally_assigned_product_identifier | recommended_browse_nodes | item_type_keyword"
    r" | supplier_declared_has_product_identifier_exemption"
)
_TEXTS = frozenset(("item_name", "product_description", "bullet_point", "generic_keyword"))


def is_amazons(root: Mapping[str, Any]) -> bool:
    """Whether the document is a product type definition."""
    return any(MARK in str(root.get(name, "")) for name in ("$id", "$schema"))


def why_not_asked(name: str) -> str | None:
    """Why a property of a product type is no attribute of a product; None where it is one."""
    if name in _TEXTS:
        return "is the listing's own text"
    return (
        "is of the offer, the page or the family, not of the product"
        if _OFFER.fullmatch(name)
        else None
    )
