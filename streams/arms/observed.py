"""What the pool's views say of one experiment: its arms, its sellers, its answers.

`read` puts the questions through a function that asks the live pool (`streams.sql.client.query`
with its settings), so that nothing here knows how the pool is reached.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import ListuneError
from schemas.experiment import Experiment

Ask = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]
"""Column names and rows of one SELECT over the views."""

_CLOSED = "asked, shown, accepted, filled"


class ArmsError(ListuneError):
    """An experiment that cannot be reported; one sentence that says what to do."""


@dataclass(frozen=True)
class Values:
    """Of the values asked for: those suggested, those accepted as suggested, and those that the
    listing has in the end (`filled`), whoever filled them in."""

    asked: int
    shown: int
    accepted: int
    filled: int


@dataclass(frozen=True)
class Unit:
    """A seller, or a listing without one: the sums over all answers that were reviewed."""

    arm: str
    seller: str
    reviews: int
    values: Values


@dataclass(frozen=True)
class Traffic:
    """What an arm answered, live. Latencies in ms; None without an answer.

    `billed_*`: tokens of answers that are paid by the token. `engine_share`: of the time that our
    engine spent on all live answers from the experiment's first to its last, `hours` apart.
    """

    arm: str
    answers: int
    failed: int
    fell_back: int
    p50_ms: float | None
    p90_ms: float | None
    tokens_read: int
    tokens_written: int
    billed_read: int
    billed_written: int
    engine_share: float
    hours: float


@dataclass(frozen=True)
class Observed:
    """One experiment: what it is, and what came of it.

    `closed` has one (arm, values) per reviewed seller, in log order; `units` all sellers that were
    answered, in the order in which they first were.
    """

    experiment: Experiment
    state: str
    closed: Sequence[tuple[str, Values]]
    units: Sequence[Unit]
    traffic: Sequence[Traffic]

    def arm_names(self) -> list[str]:
        """The arms, the control first."""
        return [arm.name for arm in self.experiment.arms]


def read(ask: Ask, name: str = "") -> Observed:
    """The experiment or canary `name`; without a name the one that runs, else the latest.

    Raises:
        ArmsError: there is none, or none of that name.
        ListuneError: the pool cannot be asked.
    """
    experiment, state = _chosen(ask, name)
    where = f"WHERE experiment = '{experiment.name}'"
    _, closed = ask(
        f'SELECT arm, {_CLOSED} FROM arm_sellers {where} ORDER BY closed_ms, "offset", partition'
    )
    _, units = ask(
        f"SELECT arm, seller, reviews, {_CLOSED} FROM arm_units {where} ORDER BY first_at, seller"
    )
    _, traffic = ask(
        "SELECT arm, answers, failed, fell_back, p50_ms, p90_ms, tokens_read, tokens_written, "
        f"billed_read, billed_written, engine_share, hours FROM arms {where}"
    )
    return Observed(
        experiment,
        state,
        [(arm, Values(*values)) for arm, *values in closed],
        [Unit(arm, seller, reviews, Values(*values)) for arm, seller, reviews, *values in units],
        [Traffic(*row) for row in traffic],
    )


def _chosen(ask: Ask, name: str) -> tuple[Experiment, str]:
    _, rows = ask("SELECT name, state, arms, slices FROM experiments ORDER BY started_at, name")
    if not rows:
        raise ArmsError(
            "no experiment has run in this pool; describe one under [streams.experiment] "
            "(docs/experiments.md) and restart the curate worker"
        )
    known = {row[0]: row for row in rows}
    if name and name not in known:
        raise ArmsError(f"there is no experiment {name!r}; take one of {', '.join(known)}")
    running = [row for row in rows if row[1] == "running"]
    # A canary that runs beside it is asked for by its name.
    settled = [row for row in running if not row[0].startswith("canary:")]
    chosen = known[name] if name else (settled or running or rows)[-1]
    content = {"name": chosen[0], "arms": json.loads(chosen[2]), "slices": json.loads(chosen[3])}
    return Experiment.model_validate_json(json.dumps(content)), str(chosen[1])
