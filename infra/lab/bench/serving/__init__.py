"""The serving benchmark: the same listings answered by our engine and by others.

- `run`: which arm is measured how, one after the other.
- `measuring`: the rows so far, and the search for an arm's best set-up.
- `workload`: the listings as token ids, the same for all.
- `arm`: in the arm's own process, listings one at a time and then many at a time.
- `listune_way`, `naive_way`, `openvino_way`, `vllm_way`: the ways to answer. `conversation` is
  what the two servers share, `gguf_file` the model as OpenVINO reads it.
- `adapters`: listings by the base, one adapter and two, by our engine. `seeing`: with and without a
  picture. Both take `turns`; their `idle_adapter` changes nothing.
- `pushes`: listings while adapters are pushed into Triton, and without; `pushes_figures` its rows.
- `host`: what a listing costs beside computing; `tape` answers in the place of a decoder;
  `host_figures` its rows.
- `figures`: from what was measured to rows, the arithmetic limit and goals.

Other rooms use: `infra.lab.bench.serving.run`; the GPU check also
`infra.lab.bench.serving.workload`, `infra.lab.bench.serving.listune_way` and
`infra.lab.bench.serving.naive_way`.
"""
