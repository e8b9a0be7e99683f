"""A request into attribute values: prompt, tree, decoding, constraints, Triton and the push.

This room knows no Kafka and no DuckDB, and the engine knows no Triton. Read in this order:

- `listing`, `settings`, `errors`: what the model sees, what can be set, what can go wrong.
- `pictures/`: how a listing's pictures are got, checked, shrunk and kept.
- `prompt`: one trunk for the product, one branch for each batch of attributes; `prompt_texts`, what
  stands there in words, `vocabulary`, the tokenizer, `answer_cap`, how long an answer may get.
- `examples`: what to show a base model before the product, from the schema alone.
- `generation`: what is asked of a generator, and what it answers.
- `adapter_file`: how an adapter travels; `calibration`: the part of it that says how far its
  confidence can be trusted, `projector`: the part with which it sees; `base_hash`: which base it
  belongs to.
- `engine/`: generation in this process; `triton/`: the client's side of a server; `endpoint/`:
  somebody else's model, over the chat API of OpenAI.
- `process/`: what any process of ours has. `model_repository/`: the engine as a model of Triton.

Other rooms use:

- `serving.listing`: `Listing`.
- `serving.settings`: `ServingSettings`, and `fields_that_change`: what a setting changes.
- `serving.errors`: what can go wrong between a request and its answer.
- `serving.prompt`: `PromptBuilder`, `PromptTree` (the trainer packs the same tree);
  `serving.vocabulary`: `Vocabulary`; `serving.answer_cap`, `serving.prompt_texts`.
- `serving.examples`: `schema_example`, `attribute_lines`.
- `serving.generation`: `GenerationRequest`, `GenerationResult`, `Generator`, `AdapterName`.
- `serving.adapter_file`: `AdapterFile`, `read_adapter`, `write_adapter`.
- `serving.base_hash`: `base_hash`.
- `serving.calibration`: `Calibration`.
- `serving.projector`: `Sight`.
"""
