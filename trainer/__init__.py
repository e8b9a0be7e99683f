"""From a retrain event to a judged adapter: data set, fine-tuning, evaluation, gate, registry.

This room imports no Faust and no DuckDB at import time. Other rooms use:

- `trainer.settings`: `TrainerSettings`; `trainer.worker`: the process that takes rounds.
- `trainer.evaluate`, `trainer.gate`: judging; `trainer.registry`: adapters and their lineage.
"""
