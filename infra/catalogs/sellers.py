"""Sellers who review what the model suggests, simulated from the values that the catalog has.

A seller accepts what is right, edits most of what is wrong, fills some of what is blank, and takes
back a suggestion that the catalog knows nothing about: everything submitted is the catalog's own
or was shown by the model. What a seller does with an attribute of a listing depends on the seed,
the listing and the attribute alone, so that runs compare whatever order the listings come in.
"""

import random
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from infra.catalogs.catalog import Product
from schemas.category import Attribute, CategorySchema
from schemas.events import ListingPrediction, ValueLists
from schemas.values import matches


class SellerSettings(BaseModel):
    """How diligent the sellers are; each a share between 0 and 1."""

    model_config = ConfigDict(frozen=True)

    fill_rate: float = Field(0.57, ge=0, le=1, description="blanks with a known value: filled")
    edit_rate: float = Field(0.9, ge=0, le=1, description="wrong suggestions: put right, else kept")
    keep_unknown_rate: float = Field(
        0.0, ge=0, le=1, description="suggestions that the catalog has no value for: kept"
    )


class Seller:
    """All sellers of a marketplace; `review` is safe to call from several threads."""

    def __init__(self, seed: int, settings: SellerSettings) -> None:
        self._seed = seed
        self._settings = settings

    def review(
        self,
        product: Product,
        prediction: ListingPrediction,
        schemas: Mapping[str, CategorySchema],
    ) -> ValueLists:
        """The values that the seller of `product` submits after seeing `prediction`.

        An attribute that is missing from the answer was left blank.
        """
        submitted: ValueLists = {}
        for attribute in product.attributes(schemas):
            shown = list(prediction.values.get(attribute.name, ()))
            truth = product.truth.get(attribute.name, [])
            values = self._decide(product.product_id, attribute, shown, truth)
            if values:
                submitted[attribute.name] = values
        return submitted

    def _decide(
        self, listing_id: str, attribute: Attribute, shown: list[str], truth: list[str]
    ) -> list[str]:
        chance = random.Random(f"seller/{self._seed}/{listing_id}/{attribute.name}").random()
        if not truth:
            return shown if chance < self._settings.keep_unknown_rate else []
        # Several values of a single-valued attribute are spellings: a form takes one of them.
        known = truth if attribute.multi_value else truth[:1]
        if not shown:
            return known if chance < self._settings.fill_rate else []
        if matches(attribute, shown, truth):
            return shown
        return known if chance < self._settings.edit_rate else shown
