"""What is run, and at which size.

Each catalog has an adapter of its own in each arm. Both arms start from the base and train the same
listings in the same steps; one looks at pictures, the other has `pictures = 0`. A trial is the arm
that looks with something changed, judged on the calibration listings, never on the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from infra.lab.experiment.profiles import Sizes

Mix = Literal["paper", "both", "each"]
"""How arrivals come in: in the paper's shares of text, picture and both; all with both; or each
product three times, with its text, with its picture and with both."""


@dataclass(frozen=True)
class Steps:
    """How long an arm trains on a catalog: so many steps in each of so many rounds.

    A round goes on from the one before, on the same rows.
    """

    steps: int
    batch_size: int
    rounds: int = 1


@dataclass(frozen=True)
class Trial:
    """Something else than the profile has, for the arm that looks; `about` names what is tried."""

    about: str
    name: str
    only: str  # the catalog
    steps: Steps
    trainer: Mapping[str, Any] = field(default_factory=dict)
    serving: Mapping[str, Any] = field(default_factory=dict)
    mix: Mix | None = None  # None: the profile's


@dataclass(frozen=True)
class Profile:
    """A whole run; the catalogs in the order in which they are run."""

    name: str
    sizes: Mapping[str, Sizes]  # by catalog; what calls itself gate calibrates
    seeds: tuple[int, ...]
    steps: Mapping[str, Steps]  # by catalog
    mix: Mix
    trainer: Mapping[str, Any] = field(default_factory=dict)
    serving: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    in_flight: int = 4


def sizes(calibration: int, test: int) -> Sizes:
    """`calibration` listings, dealt out in two halves, and `test` ones."""
    first = (calibration + 1) // 2
    return Sizes(first, calibration - first, test, wave=0, measured=0, k=0)


LAPTOP = Profile(
    "laptop",
    sizes={"implicitave": sizes(48, 80), "flipkart": sizes(40, 80)},
    seeds=(0, 1, 2),
    steps={"implicitave": Steps(100, 8), "flipkart": Steps(90, 4)},
    mix="each",
    trainer={
        "rank": 32,
        "alpha": 32,
        "warmup_steps": 2,
        "max_length": 2048,
        "learning_rate": 1e-3,
    },
    serving={"batches": 0, "max_trunk_tokens": 384, "max_answer_tokens": 24},
    trials=(
        *(
            Trial(
                "place",
                name.replace("_", " "),
                "implicitave",
                Steps(24, 8),
                serving={"picture_place": name},
                mix="both",
            )
            for name in ("after_category", "first", "last")
        ),
        *(Trial("rounds", str(rounds), "implicitave", Steps(100, 8, rounds)) for rounds in (1, 2)),
    ),
    in_flight=8,
)

PROFILES = {
    profile.name: profile
    for profile in (
        LAPTOP,
        # What comes in as in the paper: fewer pictures, and fewer of them alone.
        replace(LAPTOP, name="paper", mix="paper", trials=()),
        Profile(
            "toy",
            sizes={"implicitave": sizes(4, 6), "flipkart": sizes(4, 6)},
            seeds=(0, 1),
            steps={"implicitave": Steps(3, 2, rounds=2), "flipkart": Steps(2, 2)},
            mix="each",
            trainer={"rank": 4, "alpha": 8, "warmup_steps": 0, "max_length": 512},
            serving={"max_trunk_tokens": 64, "max_answer_tokens": 4},
            trials=(
                Trial(
                    "place", "first", "flipkart", Steps(2, 2), serving={"picture_place": "first"}
                ),
                Trial("mix", "both", "implicitave", Steps(2, 2), mix="both"),
            ),
        ),
    )
}
