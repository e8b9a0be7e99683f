"""The drift alarm: how seldom it is raised without a reason, and how soon with one.

- `simulation`: made-up sellers, watched as the conductor does.
- `run`: the rows, the goals and the picture.

Other rooms use: `infra.lab.bench.drift.run`.
"""
