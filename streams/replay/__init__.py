"""The pool made again from its topics, and whether it is the same.

- `streams.replay.rebuild`: the new pool, beside the live one.
- `streams.replay.fingerprint`: what a pool holds, as a count and a hash of each table.
- `streams.replay.live_pool`: the live pool, seen from another process.
"""
