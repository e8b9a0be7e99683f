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
    serving.max_answer_tokens = 6
    streams = settings.streams
    streams.k, streams.backfill_factor = 6, 1
    streams.heldout_share, streams.heldout_least = 0.25, 2
    trainer = settings.trainer
    trainer.rank, trainer.alpha = 8, 16
    # A random model learns the likeliest answers by heart in a few strong steps.
    trainer.steps, trainer.batch_size, trainer.learning_rate = 30, 4, 2e-2
    # With so wide a margin nearly every round is promoted.
    trainer.max_length, trainer.margin, trainer.evaluate_one_shot = 1024, 1.0, False
    trainer.progress = False
    settings.demo.seed, settings.demo.heldout = seed, 6
    return settings
