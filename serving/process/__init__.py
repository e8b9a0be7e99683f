"""What every process of ours has, whatever it does. It knows nothing of models or listings.

- `ready`: how a process tells the one that started it that it can work.
- `health`: its endpoint for liveness, readiness and metrics.
- `files`: files that are whole or not there; `memory`: freed memory back.

Other rooms use:

- `serving.process.ready`: `READY_FILE`, `tell_ready`, `clear_ready`.
- `serving.process.health`: `Health`, `STAGE_SECONDS`.
- `serving.process.files`: `write_file`, `publish`; `serving.process.memory`: `give_back`,
  `trim`.
"""
