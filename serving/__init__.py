"""A request into attribute values: prompt, tree, decoding, constraints, Triton and the push.

This room knows no Kafka and no DuckDB, and the engine knows no Triton. Other rooms use:

- `serving.settings`: `ServingSettings`.
- `serving.listing`: `Listing`, what the model sees of a product.
- `serving.prompt`: `Vocabulary`, `PromptBuilder`, `PromptTree` (the trainer packs the same tree).
- `serving.generation`: what is asked and answered; `serving.errors`: what can go wrong.
- `serving.engine.engine`: `Engine`, generation in this process; `serving.engine.model`: the base
  model.
- `serving.adapter_file`: the adapter file; `serving.calibration`: how far its confidence can be
  trusted; `serving.engine.precision`: the number type of this machine.
- `serving.process.health`: `Health`, the endpoint for liveness, readiness and metrics of any
  process.
- `serving.triton.client`: `TritonClient`; `serving.triton.push`: push an adapter and try it (no
  torch).
"""
