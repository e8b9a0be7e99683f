"""The curate worker: events into the pool, decisions out of it.

- `streams.curate.app`: the worker's `main`, and the Faust side of it.

To read: `app`; the worker that has the pool; `intake`, from parcels of records to micro-batches;
`decoding`, in a process of its own;
`placement`, whether records lie where their keys belong.
"""
