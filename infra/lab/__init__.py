"""Measuring instruments: each a command that leaves its result in docs/results.

They use the other rooms as anyone may; nothing but the command line imports them.

- `bench`: what Listune costs on this machine, beside other ways to the same answers.
- `experiment`: what the method does on real catalogs, measured fairly.
- `pictures`: what a picture brings beside a text and alone, on real catalogs.
- `canary`: adapters that sellers like less, on the real stack, and back again.
- `chaos`: the stack under fire, and every event accounted for.
- `drift_page`: what the pool says of drift, as a page and a picture.
- `gpu_check`: what can be seen of engine and trainer on a GPU that is lent for minutes.
- `importing`: what `listune import` costs, and a made-up shop to try it with.
- `small`: settings for a whole stack that is small, on a tiny random model.

Other rooms use: `infra.lab.small`; the command line also `infra.lab.drift_page`.
"""
