"""A comparison as files: a page, the same as data, and the reliability diagram.

<folder>/comparison.md      tables: all listings, by what is seen of them, by category group
         comparison.json    the same rows, and the bins of the diagram
         reliability.png
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from serving.calibration import Calibration
from serving.process.files import write_file
from trainer.judging.comparison import ArmRow, markdown, table
from trainer.judging.evaluate import Evaluation, ListingScore
from trainer.judging.reliability import Bin, judged_suggestions, reliability
from trainer.settings import Prices

PAGE, DATA, DIAGRAM = "comparison.md", "comparison.json", "reliability.png"

GROUPINGS: Mapping[str, Callable[[ListingScore], str]] = {
    "what is seen of the listing": lambda score: score.inputs,
    "category group": lambda score: score.category_group,
}
NOTES = """\
Metrics with two-sided 95 % bootstrap intervals, drawn by listing; Δ is the arm minus {reference},
paired by listing. Precision is right / suggested where the catalog has a value; net benefit is
(right - c x wrong) / values of the catalog, c = {cost:g} (`trainer.cost_of_wrong`); correct
completeness is completeness x precision.
"""


@dataclass(frozen=True)
class Comparison:
    """All tables of a comparison."""

    reference: str
    cost_of_wrong: float
    rows: list[ArmRow]
    groups: dict[str, dict[str, list[ArmRow]]]  # grouping, group, rows
    reliability: dict[str, list[Bin]]  # by arm


def compare(
    evaluations: Mapping[str, Evaluation],
    reference: str,
    cost_of_wrong: float,
    prices: Prices | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> Comparison:
    """The tables of `evaluations`; the arguments are those of `judging.comparison.table`."""
    groups: dict[str, dict[str, list[ArmRow]]] = {}
    for grouping, group in GROUPINGS.items():
        by_arm = {arm: evaluation.groups(group) for arm, evaluation in evaluations.items()}
        groups[grouping] = {
            name: table(
                {arm: own[name] for arm, own in by_arm.items()},
                reference,
                cost_of_wrong,
                prices,
                calibrations,
            )
            for name in by_arm[reference]
        }
    bins = {
        arm: reliability(judged_suggestions(evaluation, (calibrations or {}).get(arm)))
        for arm, evaluation in evaluations.items()
    }
    return Comparison(
        reference=reference,
        cost_of_wrong=cost_of_wrong,
        rows=table(evaluations, reference, cost_of_wrong, prices, calibrations),
        groups=groups,
        reliability={arm: own for arm, own in bins.items() if own},
    )


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write the page, the data and the diagram into `folder`."""
    # Imported here: it brings matplotlib.
    from trainer.judging.reliability_plot import plot_reliability

    data = TypeAdapter(Comparison).dump_json(comparison, indent=2)
    write_file(folder / DATA, data)
    write_file(folder / PAGE, page(comparison).encode())
    plot_reliability(comparison.reliability, folder / DIAGRAM)


def page(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    parts = [
        "# Comparison\n",
        markdown(comparison.rows),
        NOTES.format(reference=comparison.reference, cost=comparison.cost_of_wrong),
        f"![How sure, and how often right]({DIAGRAM})\n",
    ]
    for grouping, groups in comparison.groups.items():
        # One group alone is the table above once more.
        if len(groups) > 1:
            parts.append(f"## By {grouping}\n")
            parts += [f"### {name or 'none'}\n\n{markdown(rows)}" for name, rows in groups.items()]
    return "\n".join(parts)
