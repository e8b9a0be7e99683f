"""The stream benchmark: what our workers carry, beside bare loops on the same Kafka.

- `run`: a broker of its own, filled; the arms one after the other.
- `events`: the requests, predictions and reviews that are sent.
- `loops`: the bare loops, each in a process of its own.
- `curate`: our worker, run as `listune up` runs it and measured from outside.
- `steady`: reviews at a steady rate, and a stand-in for the trainer.
- `pool`: a pool of a million listings, in a process of its own.
- `passing`: our predict worker, and a bare loop that does the same.
- `asked`: the requests that these two pass on, and the answer; `engine`, which gives it at once.
- `figures`: from what was measured to rows and goals.

Other rooms use: `infra.lab.bench.stream.run`.
"""
