"""What the GPU check should show, on an H100."""

from collections.abc import Sequence

from infra.lab.bench.goals import best, ratio
from infra.lab.bench.results import ArmResult, Goal, Scalar
from infra.lab.gpu_check.exactness import EXACT
from infra.lab.gpu_check.place import FULL, Sizes
from infra.lab.gpu_check.serving import RANDOM, REAL
from infra.lab.gpu_check.training import OURS, PLAIN, TRL

SAME_ANSWERS = 0.999
"""Of 1,200 answers one may hang on a choice that rounding decides."""
SAME_LOSS = 1e-3
"""Nats a token, in fp32."""
NOT_MEASURED = "it was not measured"


def goals(rows: Sequence[ArmResult], sizes: Sizes = FULL) -> list[Goal]:
    """The goals on the rows that there are."""
    most, many = max(sizes.in_flight), sizes.adapters
    one: dict[str, Scalar] = {"stage": "serving", "arm": "listune", "mode": "free", "adapters": 1}
    alone, crowd = one | {"in_flight": 1}, one | {"in_flight": most}
    ours, naive = _first(rows, model=REAL, **alone), _first(rows, arm="generate")
    together = _first(rows, model=REAL, **crowd | {"adapters": many})
    theirs = best(_with(rows, arm=TRL) or _with(rows, arm=PLAIN), "products_per_s", max)
    return [
        _at("same answers as on the CPU, fp32", SAME_ANSWERS, _same(rows), at_least=True),
        _at("one listing, ms: 135M", 25, _ms(ours)),
        _at(f"listings/s, {most} in flight: 135M", 300, _rate(rows, REAL, crowd), at_least=True),
        _at("one listing, ms: 1.7B", 60, _ms(_first(rows, model=RANDOM, **alone))),
        _at(f"listings/s, {most} in flight: 1.7B", 60, _rate(rows, RANDOM, crowd), at_least=True),
        ratio("one listing, times faster than naive JSON", 50, naive, ours, "p50_s"),
        ratio(
            f"cost of {many} adapters in costs of one, {most} in flight",
            1.15, _first(rows, model=REAL, **crowd), together, "listings_per_s", at_least=False,
        ),
        ratio(
            "products a second in training, times the peer's best",
            3, _first(rows, stage="training", arm=OURS), theirs, "products_per_s",
        ),
        *(
            _at(f"loss from the CPU's, nats: {count} process{'es' * (count > 1)}", SAME_LOSS,
                _figure(_first(rows, stage="losses", processes=count), "greatest_difference_nats"))
            for count in (1, 2)
        ),
    ]  # fmt: skip


def _with(rows: Sequence[ArmResult], **settings: Scalar) -> list[ArmResult]:
    """The rows that ran and have these settings."""
    return [
        row
        for row in rows
        if not row.not_run and all(row.settings.get(k) == v for k, v in settings.items())
    ]


def _first(rows: Sequence[ArmResult], **settings: Scalar) -> ArmResult | None:
    return next(iter(_with(rows, **settings)), None)


def _figure(row: ArmResult | None, name: str) -> float | None:
    return row.figure(name) if row else None


def _at(name: str, wanted: float, measured: float | None, at_least: bool = False) -> Goal:
    return Goal(name, wanted, measured, at_least, NOT_MEASURED)


def _ms(row: ArmResult | None) -> float | None:
    seconds = _figure(row, "p50_s")
    return seconds * 1e3 if seconds else None


def _rate(rows: Sequence[ArmResult], model: str, crowd: dict[str, Scalar]) -> float | None:
    return _figure(_first(rows, model=model, **crowd), "listings_per_s")


def _same(rows: Sequence[ArmResult]) -> float | None:
    """Over all modes, with and without adapters."""
    exact = _with(rows, stage="exactness", dtype=EXACT)
    asked = sum(row.figures["answers"] or 0 for row in exact)
    return sum(row.figures["same_answers"] or 0 for row in exact) / asked if asked else None
