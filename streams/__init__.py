"""Kafka and the pool: topics, producer SDK, the Faust apps, the DuckDB pool and ad-hoc SQL.

This room imports no torch. Other rooms use:

- `streams.settings`: `StreamsSettings`; `streams.topics`: names and creation of topics.
- `streams.producer`: `ListuneClient`, the SDK of a listing service.
- `streams.predict`, `streams.curate`, `streams.sql_server`: the workers' `main`.
"""
