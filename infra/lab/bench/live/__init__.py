"""What live traffic may be told by: the statistics and the arms, on made-up sellers.

- `simulation`: made-up sellers, judged by the real sequences, checks and arms.
- `run`: the rows, the goals and the picture.

Other rooms use: `infra.lab.bench.live.run`.
"""
