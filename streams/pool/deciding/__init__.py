"""What the pool decides: when a round begins, what it takes, what comes after it.

- `streams.pool.deciding.conductor`: the one that decides; begin here.
- `streams.pool.deciding.selection`: which listings a round trains on, and which the pool lets go.

To read after `conductor`: `trigger`, whether a round is due; `drift`, whether acceptance fell;
`backfill`, what is measured again; `experiments`, when one starts, grows and ends, and `guardrail`,
which arm does harm; `shadow`, what an adapter on trial is asked; `status`, the line that says what
is waited for.
"""
