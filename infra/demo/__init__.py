"""The demo: a catalog's products arrive, sellers review them, and the loop trains itself.

It is a user of the stack like any other and knows nothing of how the workers do it. Nothing but
the command line imports it. Read in this order:

- `play`: the whole run, wave by wave and round by round.
- `arms`: the A/B run after the rounds.
- `watch`: what becomes of the rounds, heard from the topics.
- `side_by_side`: all adapters judged on the same held-out listings, in the trainer's process.
- `rows`: what a run did, as data. `summary`: from what was seen to those rows.
- `wording`, `plots`, `report` (with template.html): the same as sentences, pictures and a page.

Other rooms use: `infra.demo.play`.
"""
