"""The GPU check: one script that sees on a lent GPU whether engine and trainer are right and quick.

Such a machine is lent for minutes, has a Python, torch and transformers of its own, and reaches no
registry. So all it needs travels in parts, and what a CPU can compute beforehand it does not
compute again. docs/benchmarks.md says how it is run. Each stage is a process with a time limit; its
rows are in the result file as soon as they are measured, and a stage that fails or runs out of time
is a row that says so.

- `pack`: makes the parts: the base model, the packages that may be missing, what the CPU computed.
- `unpacking`: on the GPU's machine, with the standard library only; says what is missing there.
- `place`: how large the check is, and where its files are.
- `reference`, `adapters`: what both machines compute, to be compared.
- `environment`, `exactness`, `serving`, `training`, `losses`: the stages; `stage` runs one in a
  process of its own.
- `plain_way`: what training is compared with where TRL is not to be had.
- `run`: the stages in order, each row kept; `goals`: what the figures should reach.

Run as `python -m infra.lab.gpu_check`; no other room uses it.
"""
