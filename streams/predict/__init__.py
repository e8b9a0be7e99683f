"""The predict worker: a request in, the answer of the engine or of whoever else is to answer out.

- `streams.predict.app`: the worker's `main`, and the Faust side of it.

To read: `traffic`, which says who answers a request; `answerers`, those who do; `answering`, from a
request to its prediction, `pictures`, what is seen of its pictures before, and `prediction`, what
that has; none of them has a Kafka. Then `flow`,
how what is under way is bounded; `app`.
"""
