"""The predict worker: a request in, the engine's answer out.

- `streams.predict.app`: the worker's `main`, and the Faust side of it.

To read: `answering`, which knows no Kafka; `flow`, how what is under way is bounded; `app`.
"""
