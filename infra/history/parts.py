"""Which products of a catalog teach and which judge, as in the stream: by the hash of their ids.

Offers of one product (one cluster, or nearly the same title) are on one side, which the first of
their ids says. Those that the hash has on the other side are neither taught nor asked about: in
the stream they keep the side that they have there. A product without a legal value teaches nothing
and judges nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from infra.catalogs.catalog import CatalogError, Product
from infra.catalogs.grouping import stratified, together
from schemas.events import Identity
from schemas.heldout import is_held_out
from streams.settings import StreamsSettings

_IDENTITY: TypeAdapter[str] = TypeAdapter(Identity)


@dataclass(frozen=True)
class Parts:
    """Products, in an order in which every stretch has all categories in proportion.

    between: how many are on neither side, since others of their like are on the other.
    without_value: how many have no legal value.
    """

    teaching: list[Product]
    judging: list[Product]
    between: int
    without_value: int


def part(products: Sequence[Product], streams: StreamsSettings, seed: int) -> Parts:
    """The two sides of `products`; the same whatever their order.

    Raises:
        CatalogError: too few are left to teach one round or to judge it, or an id is none that a
            stream takes.
    """
    for product in products:
        _check_id(product.product_id)
    usable = [product for product in products if product.truth]
    sides: tuple[list[Product], list[Product]] = ([], [])
    for group in stratified(together(usable), seed):
        held_out = is_held_out(min(p.product_id for p in group), streams.heldout_share)
        sides[held_out].extend(
            p for p in group if is_held_out(p.product_id, streams.heldout_share) == held_out
        )
    teaching, judging = sides
    found = Parts(
        teaching,
        judging,
        len(usable) - len(teaching) - len(judging),
        len(products) - len(usable),
    )
    _check_enough(found, streams)
    return found


def _check_id(product_id: str) -> None:
    try:
        _IDENTITY.validate_python(product_id)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise CatalogError(
            f"product {product_id[:40]!r}: {reason}; a stream would refuse this id, give another"
        ) from None


def _check_enough(parts: Parts, streams: StreamsSettings) -> None:
    if not parts.teaching and not parts.judging:
        raise CatalogError(
            f"none of {parts.without_value} products has a value that the schema allows, so there "
            "is nothing to learn; check that catalog and schema belong together"
        )
    if len(parts.teaching) < streams.k or len(parts.judging) < streams.heldout_least:
        raise CatalogError(
            f"{len(parts.teaching)} products with a legal value can teach and {len(parts.judging)} "
            f"can judge, where a round needs {streams.k} and {streams.heldout_least} "
            f"({parts.without_value} have no legal value, {parts.between} are like one of the "
            "other side); give a larger catalog, or a smaller LISTUNE_STREAMS__K (or --k) or "
            "LISTUNE_STREAMS__HELDOUT_LEAST"
        )
