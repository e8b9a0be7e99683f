"""The experiment: what the method does on real catalogs, measured fairly.

    data set → split → sweep of learning rates → arms (a strategy and a curation each), round by
    round → the test, asked for when all arms are trained → a results folder

Everything that costs time (an adapter, an adapter's answers) is kept under the fingerprint of what
it depends on. So two arms that come to the same first round share it, and a run that was killed
goes on where it was: a second run finds everything and only writes the report again.

- `profiles`: what is run, at which size. `data` (with heldout_before.json): catalogs, their
  splits, what may be a test.
- `run`: all of it. `data_set_run`: a catalog's way. `course`: an arm's rounds.
- `lab`: the model at work, its results kept. `training`: one adapter.
- `calibrated`: the last adapter for constrained mode. `baselines`: what the arms have to beat.
- `figures`: what was measured, as data. `knowable`, `mistakes`, `statistics`: figures of it.
- `tables`, `plots`, `report`: the results folder. `progress`: one bar over everything.

Other rooms use: `infra.lab.experiment.run`, `infra.lab.experiment.data`,
`infra.lab.experiment.profiles`; what pictures bring is measured with `infra.lab.experiment.lab`,
`infra.lab.experiment.figures`, `infra.lab.experiment.statistics`,
`infra.lab.experiment.progress`, `infra.lab.experiment.tables` and `infra.lab.experiment.report`.
"""
