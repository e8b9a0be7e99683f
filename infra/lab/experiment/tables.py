"""The tables of the results page, as Markdown, from the figures alone."""

from collections.abc import Callable, Sequence

from infra.lab.experiment.figures import (
    METRICS,
    AnswerCounts,
    ArmFigures,
    DataSetFigures,
    RoundFigures,
)
from infra.lab.experiment.statistics import (
    SHOWN,
    after_last_round,
    arm_names,
    differences,
    last_round,
    measured,
    of_round,
    seeds_of,
    tested_rounds,
)
from schemas.events import Interval, Mode


def grid(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [headings, ["---"] * len(headings), *lines]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in r) + " |\n" for r in rows)


def by_round(data: DataSetFigures) -> str:
    """Like the paper's Table 1: baselines, then every arm after each round, on the sealed test.

    Free mode; a baseline says where it is in another.
    """
    lines = [
        [name, "", *_cells(measured(data.test, [scores]))]
        for name, scores in data.baselines.items()
    ]
    for arm in arm_names(data):
        for number in tested_rounds(data):
            scores = of_round(data, arm, number)
            lines.append([arm, str(number), *_cells(measured(data.test, scores))])
    return grid(["arm", "round", *SHOWN], lines)


def gains(data: DataSetFigures) -> str:
    """What the reference arm gained over the base, round by round: the paper's headline."""
    base = of_round(data, data.reference, 0)
    lines = []
    for number in tested_rounds(data):
        scores = of_round(data, data.reference, number)
        found = differences(data.test, scores, base)
        lines.append([str(number), *_cells(found, signed=True)])
    return grid(["round", *(f"Δ {name}" for name in SHOWN)], lines)


def against_reference(data: DataSetFigures, mode: Mode) -> str:
    """Every arm and baseline minus the reference arm, all after their last round, paired.

    An arm is compared with the reference under its own seeds, a baseline under all of them.
    """
    everyone = seeds_of(data, data.reference)
    lines = [
        _difference(data, name, [one] * len(everyone), data.reference, mode, everyone)
        for name, one in data.baselines.items()
    ]
    lines += [
        _difference(data, arm, after_last_round(data, arm, mode), data.reference, mode)
        for arm in arm_names(data)
        if arm != data.reference
    ]
    return _differences(f"minus {data.reference}", lines)


def variants(data: DataSetFigures) -> str:
    """Every arm with something changed minus the same arm without, in both modes; "" for none."""
    names = arm_names(data)
    pairs = [(name, plain) for name in names if (plain := name.split(" (")[0]) != name]
    lines = [
        _difference(data, name, after_last_round(data, name, mode), plain, mode, None, shown)
        for name, plain in pairs
        if plain in names
        for mode in Mode
        for shown in [f"{name}, {mode}"]
    ]
    return _differences("minus the arm without what is in brackets", lines) if lines else ""


def modes(data: DataSetFigures) -> str:
    """Every arm's last adapters in free and in constrained mode, and what the latter gains."""
    lines = []
    for arm in arm_names(data):
        own = seeds_of(data, arm)
        free, constrained = (after_last_round(data, arm, mode) for mode in Mode)
        for mode, scores in zip(Mode, (free, constrained), strict=True):
            lines.append([arm, str(len(own)), mode.value, *_cells(measured(data.test, scores))])
        gained = differences(data.test, constrained, free)
        lines.append([arm, str(len(own)), "difference", *_cells(gained, signed=True)])
    return grid(["arm", "seeds", "mode", *SHOWN], lines)


def calibrations(data: DataSetFigures) -> str:
    """What each arm's last adapter was calibrated on, and what it leaves blank since."""
    lines = [
        [
            arm.arm,
            str(arm.seed),
            str(arm.constrained.examples),
            ", ".join(f"{kind} {below:.2f}" for kind, below in arm.constrained.blank_below.items()),
        ]
        for arm in data.arms
    ]
    return grid(["arm", "seed", "suggestions compared", "blank below this confidence"], lines)


def seeds(data: DataSetFigures) -> str:
    """Each seed's own shares after the last round: how much of a difference is luck."""
    last = last_round(data)
    lines = []
    for arm in data.arms:
        free = of_round(data, arm.arm, last, [arm.seed])
        for mode, scores in ((Mode.FREE, free), (Mode.CONSTRAINED, [arm.constrained.test])):
            shares = measured(data.test, scores)
            values = (f"{shares[name].value:.3f}" for name in SHOWN)
            lines.append([arm.arm, str(arm.seed), mode.value, *values])
    return grid(["arm", "seed", "mode", *SHOWN], lines)


def training(data: DataSetFigures) -> str:
    """What each arm was trained on: equal listings, and the label tokens that came of them."""

    def total(of: Callable[[RoundFigures], float], arm: str) -> float:
        chains = [a for a in data.arms if a.arm == arm]
        return sum(of(r) for a in chains for r in a.rounds) / len(chains)

    lines = []
    for arm in arm_names(data):
        errors = [
            r.averaging_error
            for a in data.arms
            if a.arm == arm
            for r in a.rounds
            if r.averaging_error is not None
        ]
        lines.append(
            [
                arm,
                " ".join(str(r.listings) for r in _first(data, arm).rounds),
                " ".join(str(r.steps) for r in _first(data, arm).rounds),
                " ".join(f"{r.label_tokens:,}" for r in _first(data, arm).rounds),
                f"{total(lambda r: r.label_tokens, arm):,.0f}",
                f"{total(lambda r: r.train_seconds, arm):,.0f}",
                f"{max(errors):.3f}" if errors else "",
                " ".join(r.gate for r in _first(data, arm).rounds),
            ]
        )
    first = f"seed {data.arms[0].seed}"
    return grid(
        [
            "arm",
            f"distinct listings by round ({first})",
            f"steps ({first})",
            f"label tokens ({first})",
            "label tokens, all rounds (mean)",
            "seconds (mean)",
            "averaging error, largest",
            f"gate's verdicts ({first})",
        ],
        lines,
    )


def sweep(data: DataSetFigures) -> str:
    """The learning rates, and which was taken."""
    lines = [
        [
            f"{point.learning_rate:g}" + (" (taken)" if _taken(data, point.learning_rate) else ""),
            *(f"{getattr(point, name.replace(' ', '_')):.3f}" for name in METRICS),
            f"{point.last_loss:.3f}",
        ]
        for point in data.sweep
    ]
    return grid(["learning rate", *METRICS, "loss of the last step"], lines)


def knowable(data: DataSetFigures) -> str:
    """What share of the catalog's values stands in the text."""
    lines = [
        [part, entry.type, f"{entry.values:,}", f"{entry.in_text / max(entry.values, 1):.3f}"]
        for part, entries in data.knowable.items()
        for entry in entries
    ]
    return grid(["part", "type of attribute", "values", "share that stands in the text"], lines)


def samples(data: DataSetFigures) -> str:
    """A few test listings, and how the answers changed."""
    lines = [
        [c.listing, c.attribute, c.base, c.last, c.catalog, "yes" if c.right else ""]
        for c in data.samples
    ]
    headings = ["listing", "attribute", "base", "last round", "catalog", "right"]
    return grid(headings, lines)


def mistakes(data: DataSetFigures) -> str:
    """What became of each kind of value, by whether it stands in the text."""
    lines = [
        [
            m.type,
            "yes" if m.in_text else "",
            str(m.values),
            *(f"{count / m.values:.2f}" for count in (m.right, m.wrong, m.illegal, m.blank)),
            f"{m.copied / m.wrong:.2f}" if m.wrong else "",
        ]
        for m in data.mistakes
    ]
    return grid(
        ["type", "in the text", "values", "right", "wrong", "illegal", "blank", "of wrong: copied"],
        lines,
    )


def wrong_answers(data: DataSetFigures) -> str:
    """Some wrong answers as they are."""
    lines = [
        [m.listing, m.attribute, m.answer, m.catalog, "yes" if m.in_text else ""]
        for m in data.wrong_answers
    ]
    return grid(["listing", "attribute", "answer", "catalog", "in the text"], lines)


def parts(data: DataSetFigures) -> str:
    """The sizes of the data set and of its split."""
    sizes = ", ".join(f"{count} {name}" for name, count in data.parts.items())
    return (
        f"{data.products} products ({sizes}); {data.attributes_asked:.1f} attributes asked a "
        f"listing, {data.values:.1f} values in its catalog."
    )


def _difference(
    data: DataSetFigures,
    name: str,
    scores: Sequence[AnswerCounts],
    reference: str,
    mode: Mode,
    own: Sequence[int] | None = None,
    shown: str = "",
) -> list[str]:
    """A line of `_differences`: `scores`, one for each of the seeds `own`, minus `reference`.

    `own` None are the seeds of the arm `name`.
    """
    own = seeds_of(data, name) if own is None else own
    others = after_last_round(data, reference, mode, own)
    by_seed = [
        differences(data.test, [one], [other])[METRICS[0]].value
        for one, other in zip(scores, others, strict=True)
    ]
    cells = _cells(differences(data.test, scores, others), signed=True)
    return [shown or name, str(len(own)), *cells, " ".join(f"{d:+.3f}" for d in by_seed)]


def _differences(heading: str, lines: Sequence[Sequence[str]]) -> str:
    """A table of `_difference`; the last column shows how much of it is the luck of a seed."""
    return grid(
        [heading, "seeds", *(f"Δ {name}" for name in SHOWN), f"Δ {METRICS[0]} by seed"], lines
    )


def _cells(shares: dict[str, Interval], signed: bool = False) -> list[str]:
    sign = "+" if signed else ""
    return [
        f"{i.value:{sign}.3f} [{i.low:{sign}.3f}, {i.high:{sign}.3f}]"
        for i in (shares[name] for name in SHOWN)
    ]


def _first(data: DataSetFigures, arm: str) -> ArmFigures:
    return next(a for a in data.arms if a.arm == arm)


def _taken(data: DataSetFigures, rate: float) -> bool:
    return rate == data.learning_rate
