"""The draw of an audit, by SQL on the live pool, and the file that keeps it.

Statements over the view `suggestions`. The first counts values by adapter and hundredth of
confidence; from that come the strata (`stratifying`). The second puts each stratum's values in the
order of category, attribute and a seeded hash, and takes every n-th from a seeded start:
systematic sampling. So categories and attributes come in proportion, each value of a stratum has
the same known probability, `drawn / values`, and of one seed and one pool the sample is the same.

The file has no text of a listing: that is read from the pool when values are shown. It has the
values, so a forgotten listing's items leave it (`without`).
"""

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.events import listing_sha256
from schemas.identity import listing_key
from serving.process.files import write_file
from streams.audit.errors import AuditError
from streams.audit.stratifying import BINS, NO_CONFIDENCE, Bin, Stratum, stratify

SAMPLE_FILE = "sample.json"

Ask = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]
"""Columns and rows of a SELECT over the pool's views, such as `streams.sql.client.query`'s."""

# Not by `coalesce`: DuckDB's `least` and `greatest` pass over a NULL.
_BIN = (
    f"CASE WHEN confidence IS NULL THEN {NO_CONFIDENCE} "
    f"ELSE greatest(least(floor(confidence * {BINS})::INTEGER, {BINS - 1}), 0) END"
)


class Item(BaseModel):
    """One drawn value. `stratum` is its place among the sample's strata, from 0."""

    model_config = ConfigDict(frozen=True)

    prediction_id: str
    attribute: str
    value: list[str]
    listing_sha256: str
    category: str
    category_schema_hash: str
    adapter_id: str
    confidence: float | None
    score: float
    stratum: int

    @property
    def key(self) -> tuple[str, str]:
        """What names the value."""
        return self.prediction_id, self.attribute


class Sample(BaseModel):
    """A drawn audit. `items` are in the order in which they are shown, a random one, so that the
    first of them are a sample themselves. `forgotten`: items that left with their listings."""

    model_config = ConfigDict(frozen=True)

    audit: str
    seed: int
    until: str = Field(description="record time of the newest answer it could draw from")
    strata: list[Stratum]
    items: list[Item]
    forgotten: int = 0

    @property
    def values(self) -> int:
        """All suggested values that it was drawn from."""
        return sum(stratum.values for stratum in self.strata)

    def without(self, hashes: Collection[str]) -> "Sample":
        """The sample without the listings of these SHA-256; itself where it has none of them."""
        kept = [item for item in self.items if item.listing_sha256 not in hashes]
        gone = len(self.items) - len(kept)
        if not gone:
            return self
        return self.model_copy(update={"items": kept, "forgotten": self.forgotten + gone})


def draw(
    ask: Ask,
    audit: str,
    size: int,
    seed: int,
    adapters: Sequence[str] = (),
    since: datetime | None = None,
) -> Sample:
    """A sample of `size` suggested values, of all of them where there are no more.

    adapters: only of these, with equal shares; without any, of all that answered.
    since: only of answers from this time on, UTC.

    Raises:
        AuditError: nothing to draw from, a named adapter that suggested nothing, or too few.
        SqlError: the pool cannot be read.
    """
    chosen = _condition(adapters, since)
    newest, bins = _count(ask, chosen)
    known = {one.adapter_id for one in bins}
    if missing := [adapter for adapter in adapters if bins and adapter not in known]:
        raise AuditError(
            f"adapter {missing[0]!r} suggested no value to a seller; name one of those in "
            '`listune sql "SELECT DISTINCT adapter_id FROM suggestions"`'
        )
    strata = stratify(bins, size, equally=bool(adapters))
    chosen += f" AND predicted_at <= CAST({_quoted(str(newest))} AS TIMESTAMP)"
    found = _records(ask, _draw_statement(strata, chosen, seed))
    # What came or went between the two statements is in the numbers of the second.
    counts = {row["stratum"]: {"values": row["values"], "drawn": row["drawn"]} for row in found}
    strata = [one.model_copy(update=counts.get(n, {})) for n, one in enumerate(strata)]
    rest = {(row["prediction_id"], row["attribute"]): row for row in _rest(ask, found)}
    items = [
        _item(row | more, strata)
        for row in found
        if (more := rest.get((row["prediction_id"], row["attribute"])))
    ]
    items.sort(key=lambda item: item.key)
    random.Random(seed).shuffle(items)
    return Sample(audit=audit, seed=seed, until=str(newest), strata=strata, items=items)


def texts(
    ask_writer: Callable[[str], list[tuple[Any, ...]]], items: Sequence[Item]
) -> dict[str, tuple[str, str]]:
    """Title and description of each item's product by prediction; without those that are gone.

    ask_writer: the rows of a SELECT over the pool's tables, such as
    `streams.sql.client.ask_writer`; over a view the texts of all listings would be copied to find
    these.

    Raises:
        SqlError: no worker serves the pool on this machine.
    """
    if not items:
        return {}
    rows = ask_writer(
        "SELECT prediction_id, payload ->> '$.title', payload ->> '$.description' "
        "FROM store.predictions JOIN store.requests USING (request_id) "
        f"WHERE prediction_id IN ({_list(item.prediction_id for item in items)})"
    )
    return {name: (title or "", description or "") for name, title, description in rows}


def write_sample(sample: Sample, folder: Path) -> None:
    """Keeps `sample` in `folder`, whole or as it was before."""
    write_file(folder / SAMPLE_FILE, sample.model_dump_json(indent=1).encode())


def read_sample(folder: Path) -> Sample:
    """The sample kept in `folder`.

    Raises:
        AuditError: there is none, or it cannot be read.
    """
    path = folder / SAMPLE_FILE
    try:
        return Sample.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise AuditError(
            f"there is no audit {folder.name!r}; draw one with `listune audit draw`"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise AuditError(
            f"{path} cannot be read ({where}: {first['msg']}); draw another audit"
        ) from None


def _condition(adapters: Sequence[str], since: datetime | None) -> str:
    condition = f"adapter_id IN ({_list(adapters)})" if adapters else "true"
    if since is not None:
        condition += f" AND predicted_at >= CAST({_quoted(str(since))} AS TIMESTAMP)"
    return condition


def _count(ask: Ask, chosen: str) -> tuple[datetime | None, list[Bin]]:
    """The time of the newest answer, and how many values there are."""
    rows = _records(
        ask,
        f"SELECT adapter_id, {_BIN} AS bin, count(*) AS values, count(accepted) AS reviewed, "
        "count(*) FILTER (accepted) AS accepted, max(predicted_at) AS newest FROM suggestions "
        f"WHERE {chosen} GROUP BY adapter_id, bin ORDER BY adapter_id, bin",
    )
    return max((row["newest"] for row in rows), default=None), list(map(Bin.model_validate, rows))


def _draw_statement(strata: Sequence[Stratum], chosen: str, seed: int) -> str:
    start = random.Random(seed)
    table = ", ".join(
        f"({place}, {_quoted(one.adapter_id)}, {one.low}, {one.high}, {one.drawn}, "
        f"{start.random()})"
        for place, one in enumerate(strata)
    )
    # No more columns than the order needs: every value of the pool is sorted.
    return f"""
        WITH strata AS (
            SELECT * FROM (VALUES {table}) AS t(stratum, adapter, low, high, drawn, start)
        ),
        binned AS (
            SELECT prediction_id, attribute, category, adapter_id, {_BIN} AS bin
            FROM suggestions WHERE {chosen}
        ),
        numbered AS (
            SELECT prediction_id, attribute, bin, stratum, drawn, start,
                   count(*) OVER (PARTITION BY stratum) AS values,
                   row_number() OVER (PARTITION BY stratum ORDER BY category, attribute,
                       md5(concat_ws('/', '{seed}', prediction_id, attribute))) AS place
            FROM binned JOIN strata ON adapter_id = adapter AND bin BETWEEN low AND high
        ),
        started AS (
            SELECT *, least(drawn, values) AS take, floor(start * values)::BIGINT AS first
            FROM numbered
        )
        SELECT prediction_id, attribute, bin, stratum, values, take AS drawn
        FROM started
        WHERE (place * take + first) // values > ((place - 1) * take + first) // values
    """


def _rest(ask: Ask, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What else is kept of the drawn values, and of the others of their answers."""
    return _records(
        ask,
        'SELECT prediction_id, attribute, "value", listing_id, seller_id, category, '
        "category_schema_hash, adapter_id, confidence FROM suggestions "
        f"WHERE prediction_id IN ({_list(row['prediction_id'] for row in found)})",
    )


def _records(ask: Ask, statement: str) -> list[dict[str, Any]]:
    columns, rows = ask(statement)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _item(row: dict[str, Any], strata: Sequence[Stratum]) -> Item:
    key = listing_key(row["listing_id"], row["seller_id"])
    known = strata[row["stratum"]]
    score = known.scores.get(row["bin"], known.mean_score)
    return Item(listing_sha256=listing_sha256(key), score=score, **row)


def _list(texts: Iterable[str]) -> str:
    return ", ".join(map(_quoted, sorted(set(texts))))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
