"""The local stack: real parts, fetched once, run as separate processes under one supervisor.

It knows nothing of what the processes are for. Read in this order:

- `settings`: cache folder, ports, heap, base model.
- `cache`: a part is fetched once, checked, and whole or not there. `fetch`: which parts there are.
- `base_model`, `picture_encoder`: the model and its eyes from their wheels; `converting`: in a
  process of their own. `tiny_model`: a random one for tests and for chaos.
- `kafka`, `triton`: how to run the two servers. `ports`: which are free.
- `process`: what to run. `supervisor`: all of it, in order, restarted, nothing left behind.
- `reaper`: so that no child outlives the supervisor. `state`: what is up, for other processes.
- `progress`: a bar over a folder that grows. `errors`: what goes wrong, in one sentence.

Other rooms use: `infra.local.base_model`, `infra.local.cache`, `infra.local.errors`,
`infra.local.fetch`, `infra.local.kafka`, `infra.local.ports`, `infra.local.process`,
`infra.local.settings`, `infra.local.state`, `infra.local.supervisor`, `infra.local.tiny_model`,
`infra.local.triton`.
"""
