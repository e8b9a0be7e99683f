"""Settings for a whole stack that is small: a tiny random model, rounds of a few seconds.

The tiny model knows nothing and can learn by heart. It is for looking at what the loop does, not
at how good the model gets: the end-to-end tests and `listune chaos` run on it.
"""

from pathlib import Path

from infra.local.settings import PORTS
from infra.local.tiny_model import make_tiny_model
from infra.settings import Settings, load_settings

ANY_FREE = dict.fromkeys(PORTS, 0)
"""Settings of `local` by which every port is one that is free."""


def small_settings(folder: Path, seed: int) -> Settings:
    """The settings of this process, made small; the tiny model is written to `folder`/tiny."""
    base = make_tiny_model(folder / "tiny", seed=seed)
    return load_settings().changed(
        local={"base_model": str(base), "kafka_heap": "256m", **ANY_FREE},
        serving={
            "dtype": "float32",
            "threads": 1,
            "max_trunk_tokens": 64,
            # The longest text of the generated catalog takes as many in the tiny tokenizer.
            "max_answer_tokens": 10,
        },
        streams={
            "k": 6,
            "backfill_factor": 1,
            "heldout_share": 0.4,
            "heldout_least": 6,
            # The same few products are listed again and again.
            "max_share_per_group": 1.0,
        },
        trainer={
            "rank": 8,
            "alpha": 16,
            # A random model learns the likeliest answers by heart in a few strong steps.
            "steps": 30,
            "batch_size": 4,
            "learning_rate": 2e-2,
            "max_length": 1024,
            # A gain below all that is possible: every round is promoted.
            "least_gain": -2.0,
            "margin": 2.0,
            "progress": False,
        },
        demo={"seed": seed},
    )
