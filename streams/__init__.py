"""Kafka and the pool: the producer SDK, the workers, the pool in DuckDB, ad-hoc SQL. No torch.

For a listing service and for `listune`:

- `streams.producer`: `ListuneClient`, the SDK: ask for values, send the seller's review.
- `streams.settings`: the settings of all that is here; `streams.trials`: those of experiments and
  canaries among them; `streams.drift_settings`: those of drift and its alarm.
- `streams.errors`: what can go wrong around Kafka.
- `streams.letters`, `streams.forgotten`: dead letters sent again; listings forgotten for good.
- `streams.metrics`: what the workers count, for Prometheus.

The rooms, each of which imports only from those below it:

- `streams.predict`: from a request to its prediction.
- `streams.curate`: from requests, predictions and reviews to the pool, and its decisions out.
- `streams.replay`: the pool made again from its topics.
- `streams.worker`: what both workers have in common.
- `streams.audit`: suggested values judged by people, and what that says of all of them.
- `streams.sql`: ad-hoc SQL on the live pool.
- `streams.arms`: what an experiment shows, from the pool's views; pure.
- `streams.pool`: the pool itself, and in `streams.pool.deciding` what it decides.
- `streams.kafka`: topics, readers, the publisher.
- `streams.statistics`: what live evidence says, whenever one looks; pure.

To read: `streams.producer`, then `streams.predict.app`, `streams.curate.app`,
`streams.pool.store`, `streams.pool.deciding.conductor`.
"""
