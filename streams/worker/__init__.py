"""What every Faust worker has, whichever events it takes.

- `streams.worker.faust_app`: how an app is made, run, committed for and ended.
- `streams.worker.fetching`: what Faust's consumer fetches, and from where to where it reaches.
- `streams.worker.parcels`: many records through Faust at the price of one.
- `streams.worker.dead_letters`: events that cannot be used, kept with their source and the reason.
- `streams.worker.schema_file`: the file of category schemas, which may change meanwhile.
- `streams.worker.watchdog`: ends a worker that says it is well and does nothing.
- `streams.worker.gc_tuning`: when Python's garbage collector looks.
"""
