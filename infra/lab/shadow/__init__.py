"""Whether sellers wait longer while an adapter on trial answers copies of what they asked.

Kafka, curate, predict and Triton are those of `listune up`, with a tiny random model. Sellers and
the trainer are played, as in `infra.lab.canary`, and a canary runs all the time.

- `figures`: waits by blocks into percentiles with intervals; pure.
- `run`: all of it in order.

Other rooms use: `infra.lab.shadow.run`.
"""
