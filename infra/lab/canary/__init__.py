"""A canary on the real stack: sellers get less by a new adapter, and it goes back to its parent.

Kafka, curate, predict and Triton are those of `listune up`, with a tiny random model. Only two
parts are played: sellers, who accept by which adapter answered, and the trainer, which proposes
made-up adapters at once.

- `market`: sellers who list without end. `proposer`: the trainer's part.
- `figures`: what the topics say of each canary; pure.
- `run`: all of it in order.

Other rooms use: `infra.lab.canary.run`, and its parts: `infra.lab.canary.market`,
`infra.lab.canary.proposer`, `infra.lab.canary.figures`.
"""
