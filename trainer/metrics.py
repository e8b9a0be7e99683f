"""What the trainer counts and measures, for Prometheus; docs/operations.md explains it."""

from prometheus_client import Counter, Gauge

from schemas.events import ModelEvent
from serving.process.health import STAGE_SECONDS

ROUND = Gauge("listune_training_round", "Number of the round under way, 0 without one")
ROUNDS = Counter("listune_rounds", "Rounds answered", ["outcome"])


def answered(answer: ModelEvent) -> None:
    """Counts a round's answer, with the time that its stages took."""
    ROUNDS.labels(answer.kind.value).inc()
    push_seconds = answer.details.get("push_seconds")
    stages = {
        "train": answer.train_seconds,
        "judge": answer.eval_seconds,
        "push": push_seconds if isinstance(push_seconds, float) else None,
    }
    for stage, seconds in stages.items():
        if seconds is not None:
            STAGE_SECONDS.labels(stage).observe(seconds)
