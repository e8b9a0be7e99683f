"""The command line, the local stack, the demo and the measuring instruments around the loop.

No domain logic lives here: no room outside of infra imports it. Read in this order:

- `settings`: all settings in one tree. `settings_reference` writes docs/settings.md from it.
- `local`: Kafka, Triton and the workers as processes on this machine.
- `catalogs`: products, real or generated, and sellers who review.
- `stack`: which processes there are, started and stopped. `stage`: the catalog that a run plays.
- `arms`: the report of an experiment on live traffic.
- `history`: a first adapter from listings that were filled in before.
- `demo`: the loop once through, with a report.
- `lab`: benchmarks, the experiment, the chaos run.
- `cli`: the `listune` command over all of it.
- `health`, `machine`, `progress`: what a worker says, what a figure was measured on, the one bar.
- `page`: a report as one page.
- `bootstrap`: the environment, made by the Makefile before anything can be imported.

Other rooms use: `infra.settings`, `infra.stack`, `infra.stage`, `infra.health`, `infra.machine`,
`infra.page`, `infra.progress`.
"""
