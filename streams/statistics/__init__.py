"""What live evidence says, whenever one looks: sequences, intervals and tests. Pure, on numpy and
scipy; knows no Kafka and no pool.

Looking after each seller is allowed where a *sequence* is used: its error holds over all looks at
once. The unit is a seller, one closed number each.

Other rooms use:

- `streams.statistics.drift`: `drop`, the alarm on a mean that falls some day.
"""
