"""From a retrain event to a judged adapter: data set, fine-tuning, calibration, evaluation, gate,
registry.

    worker ──starts──▶ round:  dataset → finetune → calibrate → evaluate → gate → registry

The worker is the only one that knows Kafka and Triton and never loads torch; a round is a process
of its own and knows neither. Both talk through the plain data of `results`. DuckDB reads Parquet
where it is installed and is imported only then; Faust never. Read in this order:

- `worker`: takes rounds and answers each; `round_queue`, `event_log`, `kafka_errors`: its side of
  Kafka; `round_events`: a round as events; `launch`: a round's process; `metrics`: for Prometheus.
- `results`: what a round is told and what it leaves behind; `settings`, `errors`.
- `round`: the stages of one round, `python -m trainer.round`; `progress`: how far it is.
- `data/`, `learning/`, `judging/`: what the stages are made of.
- `side_by_side`: adapters on one list of listings, `python -m trainer.side_by_side`.
- `plot_style`, `loss_plot`: pictures (matplotlib is imported only there and in `judging`).

Other rooms use:

- `trainer.settings`: `TrainerSettings`, `KafkaSettings`, `EvaluationSettings`.
- `trainer.errors`: what can go wrong in a round.
- `trainer.worker`: `main`, the process that takes rounds.
- `trainer.results`: `Verdict`, `Difference`, `SideBySideJob`, `Arm`.
- `trainer.launch`: `RoundProcess`.
- `trainer.progress`: `RoundProgress`.
- `trainer.plot_style`, `trainer.loss_plot`: pictures.
"""
