"""The client's side of Triton: calls, their JSON, and the push of an adapter. No torch.

It knows nothing of the engine's inside. Read in this order:

- `protocol`: what is said, as JSON, to the model in Triton and by it.
- `client`: calls over gRPC, their time-outs and errors.
- `push`: an adapter is pushed, and tried on a listing before it counts.

Other rooms use:

- `serving.triton.client`: `TritonClient`.
- `serving.triton.protocol`: for the model in `serving/model_repository`.
- `serving.triton.push`: `push_and_try`, `Canary`.
"""
