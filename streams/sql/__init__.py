"""Ad-hoc SQL on the live pool, for people and programs that only read.

- `streams.sql.server`: the public server, and the private one of the pool's worker.
- `streams.sql.client`: `query`, one SELECT over the views.
- `streams.sql.http`: the same over HTTP.

`guard` says which statements are let through.
"""
