"""The pool in one DuckDB file: one transaction a micro-batch, rows and offsets together. No Kafka.

To read first:

- `streams.pool.store`: `Pool`, which applies what is read from the topics.
- `streams.pool.rows`, `streams.pool.samples`: from events to rows, from rows to samples.
- `streams.pool.observe`, `streams.pool.state`: what the control log says, and where rounds stand;
  `streams.pool.round_rows`: a round's row.

Then, one concern each:

- `streams.pool.heldout`: the listings that judge and are never trained on.
- `streams.pool.spread`: how much of a round may be of one seller, category or product.
- `streams.pool.outdated`: samples that a category schema of before has measured.
- `streams.pool.losses`: what a change of the schemas would lose.
- `streams.pool.erasure`: a listing forgotten.
- `streams.pool.pictures`: which listing showed which picture.
- `streams.pool.trials`: experiments and canaries, and which of them run.
- `streams.pool.outbox`: events that were decided and are still to be published.
- `streams.pool.origin`: whether pool and topics belong together.
- `streams.pool.file`, `streams.pool.snapshot`: the file, and copies of it.
- `streams.pool.selected`: a listing that a round takes.
- `streams.pool.manifest`, `streams.pool.parquet`: the files of a round, for the trainer.
- `streams.pool.figures`: the pool in a few figures.
- `streams.pool.errors`: what can be wrong with the pool.

What it decides is in `streams.pool.deciding`.
"""
