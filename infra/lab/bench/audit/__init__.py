"""How many values an audit needs: intervals and coverage on values that are made up.

- `simulation`: worlds, and audits in them by the real strata and estimates.
- `run`: the rows, the goals and the picture.

Other rooms use: `infra.lab.bench.audit.run`.
"""
