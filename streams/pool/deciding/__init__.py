"""What the pool decides: when a round begins, what it takes, what comes after it.

- `streams.pool.deciding.conductor`: the one that decides; begin here.
- `streams.pool.deciding.selection`: which listings a round trains on, and which the pool lets go.

To read after `conductor`:

- `rounds`, the one that is put together, and `trigger`, whether it is due; `backfill`, what is
  measured again;
- `rollout`, how an adapter comes to answer sellers: by a `canary`, with a `watch` after it, which
  both read the closed numbers of `sellers`; `shadow`, what an adapter on trial is asked;
- `experiments`, when one starts, grows and ends, and `guardrail`, which arm does harm;
- `drift`, whether acceptance fell;
- `status`, the line that says what is waited for.
"""
