"""What an experiment runs, and at which size.

An arm is one way through the rounds: a strategy, a curation, and what of the trainer it changes.
All arms of a profile share split, arrivals, learning rate, base and seeds, and train the same
number of listings a round; an arm with `tokens_of` trains as many label tokens as another instead.

`laptop` and `reach` have the same held-out sizes and so the same split: what one of them was
chosen or looked at by is never the other's test. Estimated from what an earlier run took on 2 cores
of an AMD EPYC with AVX-512 BF16 (a listing trained or answered: a second on flipkart, 0.7 on
wdc_pave; in constrained mode two thirds of it), with nothing beside: `laptop` 65 and 45 minutes,
`reach` 20 and 15.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REFERENCE = "progressive+deficit"
"""The method with the curation that we propose."""


@dataclass(frozen=True)
class Arm:
    """A strategy of `trainer.learning.strategies` with a curation of `schemas.curation`."""

    strategy: str
    curation: str
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the trainer's settings
    variant: str = ""  # names the changes
    tokens_of: str = ""  # an arm whose label tokens this one trains, instead of its listings
    once: bool = False  # under the first seed only

    @property
    def name(self) -> str:
        """What tables and folders call it."""
        variant = f" ({self.variant})" if self.variant else ""
        return f"{self.strategy}+{self.curation}{variant}"


@dataclass(frozen=True)
class Sizes:
    """How many listings each part of a data set has."""

    calibration: int  # the learning rates are judged on these
    gate: int  # rounds are judged on these as they come
    test: int  # asked for when all arms are trained
    wave: int  # arrive before each round
    measured: int  # newest unused listings that a round's curation looks at
    k: int  # listings selected a round


@dataclass(frozen=True)
class Profile:
    """A whole experiment."""

    name: str
    arms: tuple[Arm, ...]  # the first is the one that all others are compared with
    seeds: tuple[int, ...]
    rounds: int
    sizes: Sizes
    rates: tuple[float, ...]  # learning rates that are swept
    steps: int
    batch_size: int
    trainer: Mapping[str, Any] = field(default_factory=dict)  # other settings of the trainer
    serving: Mapping[str, Any] = field(default_factory=dict)
    in_flight: int = 4  # listings asked for at once
    every_round_tested: bool = True  # in free mode; else the last round only

    def arms_of(self, seed: int) -> tuple[Arm, ...]:
        """The arms that are run under `seed`."""
        return tuple(arm for arm in self.arms if seed == self.seeds[0] or not arm.once)


MAIN = (
    Arm("progressive", "deficit"),
    Arm("cumulative", "deficit"),
    Arm("replay", "deficit"),
    Arm("progressive", "random"),
    Arm("progressive", "fullest"),
)
OTHERS = (
    Arm("cumulative-scaled", "deficit"),
    Arm("progressive", "gap"),
    Arm("progressive", "edits"),
    Arm("progressive", "loss"),
)
NO_AVERAGING = {"average_with_parent": 0.0}
CONTROLS = (
    Arm("progressive", "random", {}, "same tokens", tokens_of=REFERENCE, once=True),
    Arm("replay", "deficit", NO_AVERAGING, "no averaging", once=True),
    Arm("replay", "deficit", {"replay_share": 0.0}, "no replay", once=True),
    Arm("progressive", "deficit", {"blank": "abstain"}, "blanks abstain", once=True),
)
RATES = (1e-5, 1e-4, 3e-4, 1e-3, 2e-3)
SMALL_MODEL = {"rank": 32, "alpha": 32, "warmup_steps": 2, "max_length": 2048}
SHORT_ANSWERS = {"batches": 0, "max_trunk_tokens": 384, "max_answer_tokens": 24}
HELD_OUT = {"calibration": 24, "gate": 12, "test": 48}

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "laptop",
            arms=(
                Arm("progressive", "deficit"),
                Arm("cumulative", "deficit"),
                Arm("replay", "edits"),
                Arm("progressive", "random"),
                Arm("progressive", "edits", once=True),
                Arm("replay", "edits", NO_AVERAGING, "no averaging", once=True),
            ),
            seeds=(0, 1, 2),
            rounds=3,
            sizes=Sizes(**HELD_OUT, wave=32, measured=32, k=16),
            rates=(1e-3, 2e-3),
            steps=8,
            batch_size=4,
            trainer=SMALL_MODEL,
            serving=SHORT_ANSWERS,
            in_flight=8,
            every_round_tested=False,
        ),
        Profile(
            "full",
            arms=MAIN + OTHERS + CONTROLS,
            seeds=(0, 1, 2),
            rounds=5,
            sizes=Sizes(calibration=48, gate=32, test=100, wave=72, measured=72, k=36),
            rates=RATES,
            steps=18,
            batch_size=8,
            trainer=SMALL_MODEL | {"micro_batch_size": 8, "checkpoint_every": 1000},
            serving=SHORT_ANSWERS,
            in_flight=64,
        ),
        # How far the method comes with all that arrives, instead of which arm is ahead on little.
        # By edits: a model that fills everything has no deficits left to learn from.
        Profile(
            "reach",
            arms=(Arm("replay", "edits"),),
            seeds=(0,),
            rounds=3,
            sizes=Sizes(**HELD_OUT, wave=104, measured=104, k=104),
            rates=(1e-3,),
            steps=52,
            batch_size=4,
            trainer=SMALL_MODEL,
            serving=SHORT_ANSWERS,
            in_flight=8,
        ),
        Profile(
            "toy",
            arms=MAIN + OTHERS + CONTROLS,
            seeds=(0,),
            rounds=2,
            sizes=Sizes(calibration=2, gate=2, test=4, wave=8, measured=8, k=4),
            rates=(1e-3, 1e-2),
            steps=3,
            batch_size=2,
            trainer={"rank": 4, "alpha": 8, "warmup_steps": 0, "max_length": 512},
            serving={"max_trunk_tokens": 64, "max_answer_tokens": 4},
        ),
    )
}
