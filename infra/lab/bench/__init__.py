"""Benchmarks: what Listune costs on this machine, beside other ways to the same answers.

A benchmark is one command, `listune bench NAME`, and one result file that names machine, commit
and command and holds every raw figure. What all of them share is here, and knows none of them:

- `arms`: what can be run. `listings`, `photographs`: what the arms work on.
- `results`: the form of a result. `publish`: files, a page and tables of it. `chart`: its picture.
- `job`, `runner`: an arm in a process of its own, so that its peak of memory is its own and it
  warms no other's caches; seen from inside and from outside.
- `goals`: what the figures should reach. `flops`, `matrix_rate`: what arithmetic allows at best.
- `serving`, `training`, `stream`, `pictures`, `gate`, `live`, `drift`, `audit`: the benchmarks,
  each with a `run`.
- `int8`: why the engine has no int8 weights (`python -m infra.lab.bench.int8`).

Other rooms use: `infra.lab.bench.results`, `infra.lab.bench.publish` and `infra.lab.bench.arms`;
the benchmarks also `infra.lab.bench.chart`, `infra.lab.bench.flops`, `infra.lab.bench.goals`,
`infra.lab.bench.job`, `infra.lab.bench.listings`, `infra.lab.bench.matrix_rate`,
`infra.lab.bench.photographs` and `infra.lab.bench.runner`.
"""
