"""Benchmarks: what Listune costs on this machine, beside other ways to the same answers.

A benchmark is one command, `listune bench NAME`, and one result file that names machine, commit
and command and holds every raw figure. Each arm is measured in a process of its own, so that
peaks of memory are its own and no arm warms another's caches. Nothing here is imported by the
rooms; other modules of `infra` use `infra.lab.bench.serving`.
"""
