"""The training benchmark: the same listings learnt by our trainer and by TRL.

- `run`: each arm in its best set-up and both number types, and ours with and without pictures.
- `lessons`: what both learn from, the same tokens for both.
- `arm`: in the arm's own process, step by step.
- `listune_way`, `trl_way`: the two trainers.
- `figures`: from what was measured to rows and goals.

Other rooms use: `infra.lab.bench.training.run`; the GPU check also `infra.lab.bench.training.arm`,
`infra.lab.bench.training.lessons`, `infra.lab.bench.training.listune_way` and
`infra.lab.bench.training.trl_way`.
"""
