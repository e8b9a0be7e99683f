"""Kafka and the pool: topics, producer SDK, the Faust apps, the DuckDB pool and ad-hoc SQL.

This room imports no torch. Other rooms use:

- `streams.settings`: `StreamsSettings`; `streams.kafka.topics`: names and creation of topics.
- `streams.producer`: `ListuneClient`, the SDK of a listing service.
- `streams.sql.client`: `query`, ad-hoc SQL.
- `streams.letters`, `streams.forgotten`, `streams.replay.rebuild`: what the commands do that are
  called so.
- `streams.predict.app`, `streams.curate.app`, `streams.sql.server`: the workers' `main`.
"""
