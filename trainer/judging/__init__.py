"""What an adapter is worth: answers, figures, calibration, the gate.

It knows nothing of how an adapter was trained. Read in this order:

- `heldout`: which listings calibrate and which judge.
- `judge`: who asks, and remembers; `asking`: many listings at once; `evaluation_store`: what is
  remembered.
- `evaluate`: what the answers are worth; `intervals`: how sure that is.
- `calibrate`: how often is a value right that the adapter is so sure of?
- `gate`: may the candidate replace its parent? `champions`: whom it has to hold against.
- `forgetting`: does a round lose what earlier ones taught?
- `arms`, `baselines`, `encoder_vectors`, `endpoint`: what it is compared with; `comparison`: the
  table;
  `comparison_report`, `reliability`, `reliability_plot`: the page and its picture.

Other rooms use:

- `trainer.judging.heldout`: `read_held_out`, `fit_to_train`, `taught_before`.
- `trainer.judging.judge`: `Judge`, `judging`, `judges_engine`, `LazyEngine`,
  `metrics_of`.
- `trainer.judging.evaluate`: `Evaluation`, `METRICS`, `score`.
- `trainer.judging.evaluation_store`: `Kept`, and what it is made of.
- `trainer.judging.intervals`: the bootstrap; `trainer.judging.calibrate`: `calibrate`.
- `trainer.judging.gate`: `decide`, `Rule`; `trainer.judging.champions`: `judge_candidate`.
- `trainer.judging.forgetting`: `forgetting`; `trainer.judging.baselines`: each by itself.
- `trainer.judging.arms`, `trainer.judging.encoder_vectors`, `trainer.judging.comparison`,
  `trainer.judging.comparison_report`: an adapter beside what it has to beat.
"""
