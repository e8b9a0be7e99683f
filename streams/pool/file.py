"""The pool's DuckDB file: how it is opened, and what it remembers of itself in `store.meta`."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import cast

import duckdb

from streams.pool import outdated
from streams.pool.errors import PoolError, PoolRefused
from streams.pool.origin import check_origin
from streams.pool.spread import Shares
from streams.settings import StreamsSettings

# Unbounded, DuckDB takes up to 80 % of a machine that it shares with the broker and the model.
MEMORY_MB = 1000
# How long the write-ahead log may become before it is worked into the file. DuckDB's own 16 MB are
# there after five full micro-batches, whose COMMIT took twice as long with it. After a crash a log
# of 55 MB was read again in 0.6 s.
CHECKPOINT = "64MB"
# With each parameter of a statement DuckDB imports pandas twice (duckdb-python issue 300). Where
# there is none, Python searches its whole path each time, and lets other threads go first at each
# folder. This is how it is told that there is none.
if find_spec("pandas") is None:
    sys.modules["pandas"] = cast(ModuleType, None)

NO_LIMIT = 2**31 - 1

# Tables and views, then the views of each concern, in this order.
DEFINITIONS = (
    "schema.sql", "arms.sql", "shadow.sql", "audit.sql", "drift.sql", "proposals.sql",
)  # fmt: skip
# The shape of the tables in schema.sql; raise it with them.
FORMAT = "1"
# What a sample is made of: raise it, and all samples of a file with another one are measured anew.
MEASURES = "4"


def pool_path(settings: StreamsSettings) -> Path:
    """Where the pool's file is."""
    return settings.pool_dir / f"{settings.pool}.duckdb"


def read_definitions() -> str:
    """The statements that make the pool's tables and views."""
    folder = Path(__file__).parent
    return "".join((folder / name).read_text(encoding="utf-8") for name in DEFINITIONS)


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Opens, or makes, the pool's file.

    Raises:
        PoolError: another process has it.
        PoolRefused: the pool was kept in several files, as earlier versions could.
    """
    first_shard = path.with_name(f"{path.stem}-0.duckdb")
    if first_shard.exists() and not path.exists():
        raise PoolRefused(
            f"the pool {first_shard} is one of several files, which this version does not read; "
            f"move {path.stem}-*.duckdb away, so that the pool is rebuilt from the topics"
        )
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{MEMORY_MB}MB",
        "checkpoint_threshold": CHECKPOINT,
    }
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        raise PoolError(
            f"the pool {path} cannot be opened; stop the curate worker that has it, "
            f"or read it with `listune sql` ({str(error).splitlines()[0]})"
        ) from error


def take_origin(
    con: duckdb.DuckDBPyConnection, cluster_id: str, topic_ids: Mapping[str, str], path: Path
) -> None:
    """Compares the Kafka that the file `path` came from with the one that is there; or notes it.

    Raises:
        PoolRefused: another cluster, a topic made again, or a file of another version.
    """
    known = _meta(con)
    if known.get("format", FORMAT) != FORMAT:
        raise PoolRefused(
            f"the pool {path} was written by another version of Listune; "
            "move the file away, so that it is rebuilt from the topics"
        )
    check_origin(known, cluster_id, topic_ids, path)
    _note(con, {"cluster_id": cluster_id, "format": FORMAT})
    _note(con, {f"topic:{topic}": topic_id for topic, topic_id in topic_ids.items()})


def remember(con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
    """What the views need to know of the settings."""
    most = Shares.among_trained(settings).of(settings.k)
    _note(
        con,
        {
            "pool": settings.pool,
            "k": str(settings.k),
            "heldout_least": str(settings.heldout_least),
            "min_gap": str(settings.min_gap),
            "selection": settings.selection,
            "most_per_seller": str(most.seller or NO_LIMIT),
            "most_per_category": str(most.category or NO_LIMIT),
            "most_per_group": str(most.group or NO_LIMIT),
            "drift_window_hours": str(settings.drift.window_hours),
            "drift_reference_hours": str(settings.drift.reference_hours),
            "proposal_sellers": str(settings.drift.proposal_sellers),
        },
    )


def compare_measures(con: duckdb.DuckDBPyConnection) -> None:
    """All listings of a file whose samples were made of something else are outdated."""
    if _meta(con).get("measures") != MEASURES:
        _complete_reviews(con)
        outdated.mark_all(con)
        _note(con, {"measures": MEASURES})


def _complete_reviews(con: duckdb.DuckDBPyConnection) -> None:
    """Reviews from before their request was kept have that of the prediction that they name."""
    con.execute(
        "UPDATE store.reviews SET request_id = p.request_id FROM store.predictions p "
        "WHERE reviews.request_id IS NULL AND p.prediction_id = reviews.prediction_id"
    )


def _meta(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(con.execute("FROM store.meta").fetchall())


def _note(con: duckdb.DuckDBPyConnection, values: Mapping[str, str]) -> None:
    con.execute(
        "INSERT OR REPLACE INTO store.meta SELECT unnest($1), unnest($2)",
        [list(values), list(values.values())],
    )
