"""From a retrain event to a judged adapter: data set, fine-tuning, calibration, evaluation, gate,
registry.

    worker ──starts──▶ round:  dataset → finetune → calibrate → evaluate → gate → registry

The worker is the only one that knows Kafka and Triton (`worker`, `event_log`) and never loads
torch; a round is a process of its own and knows neither. Both talk through the plain data of
`results`. DuckDB reads Parquet where it is installed and is imported only then; Faust never.
Other rooms use:

- `trainer.settings`: `TrainerSettings`, `KafkaSettings`.
- `trainer.worker`: `main`, the process that takes rounds.
- `trainer.launch`: `prepare` and `command`, to run a round or the baselines by hand.
- `trainer.results`: what a round is told and what it leaves behind.
- `trainer.data.registry`: adapters and their lineage; `trainer.judging.evaluate`: an adapter's
  answers.
- `trainer.judging.arms`, `trainer.judging.comparison`, `trainer.judging.comparison_report`: an
  adapter beside what it has to beat; `trainer.plot_style`, `trainer.loss_plot`: pictures
  (matplotlib is imported only there).
"""
