"""Where the rounds and the champion stand, as far as the control log has been read."""

from dataclasses import dataclass

import duckdb

from schemas.events import BASE_ADAPTER, ModelEvent, RetrainRequest

FINAL_STATES = ("promoted", "rejected", "superseded", "quarantined")
# closed: over, by a later round; its end may still come. challenger: until it is judged again.
CLOSED_STATES = (*FINAL_STATES, "closed", "challenger")
FRUITLESS_STATES = ("rejected", "challenger", "superseded", "quarantined")


@dataclass(frozen=True)
class Champion:
    """The adapter that live requests get."""

    id: str
    hash: str
    uri: str | None


@dataclass(frozen=True)
class OpenRound:
    """The round under way; `request` is None while its event has not been read yet."""

    round: int
    attempt: int
    look: int
    state: str
    parent_hash: str | None
    lease_until_ms: int
    request: RetrainRequest | None
    proposal: ModelEvent | None


@dataclass(frozen=True)
class Challenger:
    """An adapter that its round left undecided, to be judged again. `look`: how often it was;
    `proposal`: the event that left it so, None in a file from before it was kept."""

    round: int
    look: int
    looked_ms: int
    adapter_id: str
    request: RetrainRequest
    proposal: ModelEvent | None


def champion(con: duckdb.DuckDBPyConnection) -> Champion:
    """The champion as of the control log; the base before the first promotion."""
    row = con.execute("SELECT adapter_id, adapter_hash, adapter_uri FROM store.champion").fetchone()
    assert row is not None
    return Champion(*row)


def find_adapter(con: duckdb.DuckDBPyConnection, adapter_id: str) -> Champion | None:
    """The published adapter called `adapter_id`, or the base; None where there is none."""
    if adapter_id == BASE_ADAPTER:
        return Champion(BASE_ADAPTER, BASE_ADAPTER, None)
    row = con.execute(
        "SELECT adapter_id, adapter_hash, adapter_uri FROM store.adapters "
        "WHERE adapter_id = ? AND published ORDER BY created_ms DESC LIMIT 1",
        [adapter_id],
    ).fetchone()
    return Champion(*row) if row else None


def parent_of(con: duckdb.DuckDBPyConnection, adapter_hash: str) -> str | None:
    """The id of the adapter that `adapter_hash` was trained from; None for the base."""
    row = con.execute(
        "SELECT parent_id FROM store.adapters WHERE adapter_hash = ?", [adapter_hash]
    ).fetchone()
    return row[0] if row else None


def open_round(con: duckdb.DuckDBPyConnection) -> OpenRound | None:
    """The round that has not been closed; there is one at most."""
    row = con.execute(
        "SELECT round, attempt, look, state, parent_hash, coalesce(lease_until_ms, 0), request, "
        "proposal FROM store.rounds WHERE state NOT IN (SELECT unnest(?)) "
        "ORDER BY round DESC LIMIT 1",
        [list(CLOSED_STATES)],
    ).fetchone()
    if row is None:
        return None
    number, attempt, look, state, parent_hash, lease_until_ms, request, proposal = row
    return OpenRound(
        round=number,
        attempt=attempt,
        look=look,
        state=state,
        parent_hash=parent_hash,
        lease_until_ms=lease_until_ms,
        request=RetrainRequest.model_validate_json(request) if request else None,
        proposal=ModelEvent.model_validate_json(proposal) if proposal else None,
    )


def last_round(con: duckdb.DuckDBPyConnection) -> int:
    """The number of the last round; 0 before the first."""
    row = con.execute("SELECT coalesce(max(round), 0) FROM store.rounds").fetchone()
    return int(row[0]) if row else 0


def challenger(con: duckdb.DuckDBPyConnection) -> Challenger | None:
    """The one that waits to be judged again: trained from the champion, as what judges it is."""
    row = con.execute(
        "SELECT round, look, looked_ms, adapter_id, request, proposal FROM store.rounds "
        "WHERE state = 'challenger' AND request IS NOT NULL "
        "AND parent_hash = (SELECT adapter_hash FROM store.champion) ORDER BY round DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    number, look, looked_ms, adapter_id, request, proposal = row
    asked = RetrainRequest.model_validate_json(request)
    return Challenger(
        round=number,
        look=look,
        looked_ms=looked_ms or asked.created_ms,
        adapter_id=adapter_id or f"round {number}",
        request=asked,
        proposal=ModelEvent.model_validate_json(proposal) if proposal else None,
    )


def fruitless_rounds(con: duckdb.DuckDBPyConnection) -> int:
    """Rounds in a row without promotion, since the last one or since a person resumed.

    One that was judged again counts from when it was ordered first: no look makes it a new one.
    """
    row = con.execute(
        """
        WITH since AS (SELECT greatest(
            coalesce((SELECT max(closed_ms) FROM store.rounds WHERE state = 'promoted'), 0),
            coalesce((SELECT value::BIGINT FROM store.meta WHERE name = 'resumed_ms'), 0)) AS ms)
        SELECT count(*) FROM store.rounds, since
        WHERE state IN (SELECT unnest(?))
          AND CASE WHEN look > 1 THEN requested_ms ELSE closed_ms END > since.ms
        """,
        [list(FRUITLESS_STATES)],
    ).fetchone()
    return int(row[0]) if row else 0
