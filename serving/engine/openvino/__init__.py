"""A decoder for CPUs that OpenVINO compiles: a backend beside PyTorch's, for the same answers.

The package is optional, and so is a base that the graph can express: whoever imports another module
than `support` asks that first. Read in this order:

- `support`: whether this machine and this base are served by it; if not, why.
- `graph`: the layers of a Llama-like model as one graph, with attention over blocks of keys.
- `weights`: where its weights lie while it is made.
- `compiled`: a graph compiled; `making`: those of a base, plain or with adapters as inputs.
- `blocks`: these keys and values; `trees`: which of them a branch reads, and a pass.
- `backend`: what computes a pass.

Other rooms use:

- `serving.engine.openvino.support`, `serving.engine.openvino.backend`.
"""
