"""Settings for a whole stack that is small: a tiny random model, rounds of a few seconds.

The tiny model knows nothing and can learn by heart. It is for looking at what the loop does, not
at how good the model gets: the end-to-end tests and `listune chaos` run on it.
"""

from pathlib import Path

from infra.local.settings import PORTS
from infra.local.tiny_model import make_tiny_model
from infra.settings import Settings, load_settings

ANY_FREE = dict.fromkeys(PORTS, 0)


def small_settings(folder: Path, seed: int) -> Settings:
    """The settings of this process, made small; the tiny model is written to `folder`/tiny."""
    settings = load_settings()
    base = make_tiny_model(folder / "tiny", seed=seed)
    settings.local = settings.local.model_copy(
        update={"base_model": str(base), "kafka_heap": "256m", **ANY_FREE}
    )
    serving = settings.serving
    serving.dtype = "float32"
    serving.threads = 1
    serving.max_trunk_tokens = 64
    # The longest text of the generated catalog takes as many in the tiny tokenizer.
    serving.max_answer_tokens = 10
    streams = settings.streams
    streams.k, streams.backfill_factor = 6, 1
    streams.heldout_share, streams.heldout_least = 0.4, 6
    trainer = settings.trainer
    trainer.rank, trainer.alpha = 8, 16
    # A random model learns the likeliest answers by heart in a few strong steps.
    trainer.steps, trainer.batch_size, trainer.learning_rate = 30, 4, 2e-2
    # A gain below all that is possible: every round is promoted.
    trainer.max_length, trainer.least_gain, trainer.margin = 1024, -2.0, 2.0
    trainer.progress = False
    settings.demo.seed = seed
    return settings
