"""The benchmark of checking pictures: what a stranger's file costs before anything sees it.

- `run`: each kind of file in turn, and the goals on those that are refused.
- `files`: the files, made up: what shops send, and small ones that unfold into gigabytes.
- `arm`: in a process of its own, one file checked again and again.

Other rooms use: `infra.lab.bench.pictures.run`.
"""
