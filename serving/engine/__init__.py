"""The tree engine: requests in, attribute values out, adapters pushed while it runs.

It knows no Triton, no Kafka, no champions. Read in this order:

- `engine`: what it promises; the queue and its two threads.
- `preparing`: a request into the tree that answers it, and answers into a result.
- `branch`: what a branch feeds next, and what it makes of the answer; `constraints`: which tokens a
  schema allows.
- `turns`: pass after pass; `decoding`: one pass for all trees; `backend`: what computes it;
  `scores`: what comes of it.
- `torch_backend`: by PyTorch; `tree_cache`, `pages`: where the trees' keys and values are;
  `free_list`: which pages nobody holds.
- `openvino/`: by graphs that OpenVINO compiles; `decoders`: which of both; `backends`: made.
- `eyes/`: from a picture to rows of the trunk; `seen`: these rows in a forward pass.
- `decoder`: the forward pass itself; `tree_attention`, `linear`, `lora`, `shape`: its parts;
  `decoder_check`: whether it computes what transformers computes.
- `gpu/`: PyTorch's passes on a GPU, by kernels of our own, recorded.
- `model`: the base, and merged copies of it; `precision`: the number type of this machine.
- `adapter_store`, `loaded_adapters`: adapters on disk and in memory; `merged_decoders`: merged.
- `passing_thread`: why the forward passes have a thread of their own.

Other rooms use:

- `serving.engine.engine`: `Engine`; `serving.engine.backends`: `decided`, of whoever keeps answers;
  `make_backend`, for a benchmark that records one.
- `serving.engine.model`: `Base`, `load_base`, `merge`, `resolve_base`.
- `serving.engine.seen`: `Seen`.
- `serving.engine.free_list`: the compiled decoder's blocks.
- `serving.engine.lora`: `GROUPS`, the modules that an adapter may change.
- `serving.engine.precision`: `choose_dtype`; `serving.engine.passing_thread`: `in_passing`.
- `serving.engine.backend`, `serving.engine.scores`, `serving.engine.lora`,
  `serving.engine.merged_decoders`: for `openvino/`.
- `serving.engine.tree_cache`, `serving.engine.tree_attention`, `serving.engine.decoder`,
  `serving.engine.decoder_check`, `serving.engine.pages`, `serving.engine.shape`: for `gpu/`.
- `serving.engine.eyes`: the trainer sees with the same eyes.
- `serving.engine.decoder`, `serving.engine.linear`: the benchmarks take their products apart.
- `serving.engine.preparing`, `serving.engine.decoding`, `serving.engine.branch`,
  `serving.engine.backend`, `serving.engine.torch_backend`, `serving.engine.tree_cache`: the GPU
  check decodes by itself, to see token ids.
"""
