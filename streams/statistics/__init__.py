"""What live evidence says, whenever one looks: sequences and tests. Pure, on numpy and
scipy; knows no Kafka and no pool.

Looking after each seller is allowed where a *sequence* is used: its error holds over all looks at
once. The unit is a seller, one closed number each.

- `betting`: bounds on a mean and on the difference of two arms; the alarm that a mean has dropped.
- `srm`: whether the arms get the shares they should. `power`: how many sellers one needs.
- `fixed_horizon`: tests and intervals for one look, as papers give them.
- `net_benefit`: what suggestions were worth to a seller. `bounds`: two bounds.

Other rooms use `streams.statistics.betting`, `streams.statistics.bounds`,
`streams.statistics.fixed_horizon`, `streams.statistics.net_benefit`, `streams.statistics.power` and
`streams.statistics.srm`.
"""
