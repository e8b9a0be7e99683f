"""A first adapter from listings that were filled in before Listune came, without Kafka.

    catalog ─▶ parts ─▶ asking ─▶ choosing ─▶ trainer.round ─▶ registry ─▶ handover
                           ▲                        │
                           └──── the next round ◀───┘

A round is the loop's own: the pool's selection and shares, its manifest, the trainer's round with
its gate. Only its listings come from a catalog, so its lineage says `history`. Historic listings
are no reviews: nothing of them goes to a topic, and acceptance counts none of them.

- `parts`: which products teach and which judge.
- `asking`: what the current model makes of products that teach.
- `choosing`: which of them a round takes, as the files of its manifest.
- `begun`: what is kept of the rounds beside the registry, and whether it is of the same catalog.
- `adapters`: what the registry has of history.
- `rounds`: one round after the other, each where it stopped.
- `handover`: a stack that never had a champion begins with the adapter.

Other rooms use: `infra.history.parts`, `infra.history.rounds`, `infra.history.handover`.
"""
