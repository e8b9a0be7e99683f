"""The gate's rates: how often it promotes what is no better, and what is.

- `simulation`: made-up candidates, judged by the gate's real code.
- `run`: the rows, the goals and the picture.

Other rooms use: `infra.lab.bench.gate.run`.
"""
