"""PyTorch's passes on a GPU, by kernels of our own in Triton's language, recorded as CUDA graphs.

Never run on a GPU by its authors; `make gpu-check` does. Read in this order:

- `choice`: which of them compute passes here.
- `graphs`: passes recorded and replayed; `passes`: launched one by one.
- `told`: what a pass tells the kernels; `attention`, `adapters`: the kernels.

Other rooms use:

- `serving.engine.gpu.choice`: the engine, and the GPU check.
- `serving.engine.gpu.passes`: the GPU check, to see what recording brings.
"""
