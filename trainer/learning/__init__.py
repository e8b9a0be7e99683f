"""From a parent adapter and listings to a candidate.

It knows nothing of how a candidate is judged. Read in this order:

- `history`: what a round comes from; `strategies`: from which adapter, on which listings.
- `finetune`: the training loop. Its parts: `teachable`, `schedule`: which listings a step has;
  `packing`: listings into tensors; `tree_attention`, `tree_loss`: the model that attends in trees;
  `learner`, `lora`: what of it trains; `gradient`: over all devices; `checkpoint`: what survives
  a kill.
- `averaging`: the candidate's file, averaged with its parent where the plan says so.
- `training_log`: where the steps can be followed.
- `listing_losses`: the loss of each listing, which a curation ranks by.

Other rooms use:

- `trainer.learning.history`: `situation`, `parent_adapter`, `ancestry`, `trained_on`.
- `trainer.learning.strategies`: `STRATEGIES`, `Situation`, `Plan`.
- `trainer.learning.finetune`: `finetune`, `StepReport`; `trainer.learning.averaging`:
  `make_candidate`; `trainer.learning.training_log`: `TrainingLog`.
- `trainer.learning.teachable`: `taught_by`, what an adapter depends on of a listing.
- `trainer.learning.listing_losses`: `listing_losses`.
- `trainer.learning.packing`, `trainer.learning.schedule`, `trainer.learning.tree_attention`: the
  training benchmark takes the loop apart.
"""
