"""The stack under fire: its processes are killed under load, and then every event is accounted for.

The stack is the one that `listune up` starts, with the same supervisor; only the model is a tiny
random one, so that a round of training takes seconds and many of them are killed too.

- `plan`: which process is killed when; seeded, balanced, pure.
- `load`: sellers who list products at a steady rate, whatever happens.
- `kills`: SIGKILL by the supervisor's own handle, and how long recovery takes.
- `evidence`: what topics and pool hold once everything has stopped.
- `audit`: nothing lost, doubled or unanswered; pure functions over that. It asks for the `faults`
  of two kinds: `listing_faults` and `round_faults`.
- `result`, `chart`: what came out, in the form of a benchmark's result.
- `run`: all of it in order.

Other rooms use: `infra.lab.chaos.run`; `infra.lab.canary` also `infra.lab.chaos.listing_faults`
and `infra.lab.chaos.evidence`.
"""
