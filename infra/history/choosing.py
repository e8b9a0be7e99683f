"""Which products a round takes, by the rules of the pool, and the files that it is given.

`schemas.curation` ranks, `streams.pool.deciding.selection` hands out the places, `streams.pool`
writes the files: what a round on the stream would take of the same listings and answers, this
takes, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from infra.catalogs.catalog import Product
from infra.history.asking import as_row
from schemas.category import CategorySchemas
from schemas.completeness import Scores, scores
from schemas.curation import COUNTS_BY, Candidate, select
from schemas.events import ListingRequest, ManifestFile, ValueLists
from schemas.origins import Origin
from streams.pool.deciding.selection import Chosen, choose
from streams.pool.heldout import unlike
from streams.pool.manifest import Role, count_origins, write_manifest
from streams.pool.selected import Selected
from streams.pool.spread import Places, Shares
from streams.settings import StreamsSettings


def candidates(products: Iterable[Product], streams: StreamsSettings, most: int) -> list[Product]:
    """The first `most` of `products` that could be in one round together: of one category or group
    of near-duplicates no more than a round takes, as when the pool measures again."""
    places = Places(Shares.among_trained(streams).of(streams.k))
    found: list[Product] = []
    for product in products:
        if len(found) == most:
            break
        if places.take(_request(product)):
            found.append(product)
    return found


def judges(
    products: Sequence[Product], schemas: CategorySchemas, streams: StreamsSettings
) -> list[Selected]:
    """Those of `products` that judge a round: the first within the shares of those that judge."""
    shares = Shares.among_judges(streams)
    limits = shares.of(min(streams.heldout_most, len(products)))
    found = unlike((_selected(p, schemas, Scores(0, 0, 0, 0, 0)) for p in products), limits)
    return found[: streams.heldout_most]


def chosen(
    asked: Sequence[Product],
    answers: Mapping[str, ValueLists],
    schemas: CategorySchemas,
    streams: StreamsSettings,
    held_out: list[Selected],
) -> Chosen:
    """The listings of a round: the k of `asked` that the model did worst on, which `answers` has
    its values for, beside those that judge."""
    by_id = {product.product_id: product for product in asked}
    measured = {name: _scores(p, answers[name], schemas) for name, p in by_id.items()}
    counted = COUNTS_BY[streams.selection]
    counting = [
        _candidate(by_id[name], answers[name], schemas)
        for name, found in measured.items()
        if getattr(found, counted) >= streams.min_gap
    ]
    ranked = select(counting, len(counting), streams.selection)
    best = (_selected(by_id[c.listing_id], schemas, measured[c.listing_id]) for c in ranked)
    places = Places(Shares.among_trained(streams).of(streams.k))
    return choose(best, streams.k, held_out, places)


def write(
    rows: Sequence[Selected], schemas: CategorySchemas, role: Role, path: Path
) -> tuple[ManifestFile, dict[str, int]]:
    """The file of `rows`, and how many of its values come from where."""
    with duckdb.connect() as con:
        file = write_manifest(con, rows, schemas, role, path)
        return file, count_origins(con, file)


def _scores(product: Product, values: ValueLists, schemas: CategorySchemas) -> Scores:
    return scores(product.attributes(schemas), submitted(product, schemas), values)


def _candidate(product: Product, values: ValueLists, schemas: CategorySchemas) -> Candidate:
    attributes = product.attributes(schemas)
    return Candidate(
        product.product_id,
        product.category,
        attributes,
        submitted(product, schemas),
        values,
        asked_share=len(attributes) / max(1, len(schemas[product.category].attributes)),
    )


def submitted(product: Product, schemas: CategorySchemas) -> ValueLists:
    """What the catalog says as a seller would submit it: of alternative spellings the first."""
    row = as_row(product, schemas)
    return {attribute.name: row.answer(attribute) for attribute in row.filled()}


def _selected(product: Product, schemas: CategorySchemas, found: Scores) -> Selected:
    values = submitted(product, schemas)
    origins: dict[str, Origin] = dict.fromkeys(values, "typed")  # nothing had been suggested
    return Selected(
        listing_id=product.product_id,
        category=product.category,
        gap=found.gap,
        deficit=found.deficit,
        request=_request(product),
        requested=product.requested,
        submitted=values,
        origins=origins,
        shown=False,
        blind=False,  # what filled the catalog, nobody has said
    )


def _request(product: Product) -> ListingRequest:
    """The product as a listing service would have sent it, without its pictures."""
    return ListingRequest(
        listing_id=product.product_id,
        request_id="history",
        category=product.category,
        title=product.title,
        description=product.description,
        requested=None if product.requested is None else list(product.requested),
    )
