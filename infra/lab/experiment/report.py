"""The results folder, written from the figures alone and written anew as often as one likes.

README.md          tables and pictures, opening with findings.md where that is
findings.md        what held and what did not, written by a person; never touched here
figures.json       everything that was measured
<data set>-*.png   losses, shares by round, sweep
"""

from pathlib import Path

from infra.lab.experiment import tables
from infra.lab.experiment.figures import COST_OF_WRONG, DataSetFigures, ExperimentFigures
from infra.lab.experiment.plots import plot_losses, plot_shares, plot_sweep
from infra.lab.experiment.statistics import DRAWS
from schemas.events import Mode

FINDINGS = "findings.md"
NO_FINDINGS = f"*Nobody has written `{FINDINGS}` yet: what held, what did not.*"


def folder_name(figures: ExperimentFigures) -> str:
    """The name of the results folder: profile, and date and commit of the beginning."""
    commit = figures.begun.commit.replace("+", "-changed")
    return f"{figures.profile}-{figures.begun.date}-{commit}"


def write_report(figures: ExperimentFigures, results: Path) -> Path:
    """Write the results folder below `results`; its path."""
    folder = results / folder_name(figures)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(figures.model_dump_json() + "\n", encoding="utf-8")
    for data in figures.data_sets:
        plot_losses(data, folder / f"{data.name}-loss.png")
        plot_shares(data, folder / f"{data.name}-shares.png")
        plot_sweep(data, folder / f"{data.name}-sweep.png")
    findings = folder / FINDINGS
    said = findings.read_text(encoding="utf-8").strip() if findings.exists() else NO_FINDINGS
    page = "\n\n".join([_head(figures), said, *(_section(data) for data in figures.data_sets)])
    (folder / "README.md").write_text(page.rstrip() + "\n", encoding="utf-8")
    return folder


def _head(figures: ExperimentFigures) -> str:
    settings = figures.settings
    seeds, sizes = settings["seeds"], settings["sizes"]
    begun = figures.begun
    return f"""\
# Experiment `{figures.profile}`, {begun.date}

`listune experiment --profile {figures.profile}` at commit {begun.commit} with {begun.base_model} \
on {begun.machine}. Tables and pictures are written by the command; the findings by hand.

Each arm starts from the base and goes through {settings["rounds"]} rounds. Before each round \
{sizes["wave"]} listings come in; the arm's own model is asked for the newest {sizes["measured"]} \
unused ones, its curation selects {sizes["k"]}, its strategy trains on them: {settings["steps"]} \
steps of {settings["batch_size"]} listings in every arm but those that say otherwise. Seeds: \
{", ".join(map(str, seeds))} (order of arrivals, training). All arms share split, arrivals, \
learning rate, and the first round where their selections agree. An arm's chain goes on whatever \
its gate says.

**The test.** No test listing shares a product, a near-duplicate title, a brand that the catalog \
names, or its title's leading word within its category with a listing of another part; groups of \
such listings that are too large to be held out arrive, so its categories are not in proportion. \
None of it, nor anything that belongs together with it, was held out in the runs published before \
(`infra/lab/experiment/heldout_before.json`). The command asks for a catalog's test when all arms \
have been trained. The profiles `laptop` and `reach` have the same test. Labels are the catalog's \
own, and the seller of an arrival submits what the catalog says: nobody reviewed anything.

**The modes.** `free` generates and then validates. `constrained` is the same adapter with the \
allowed values enforced, and with a calibration: its answers on the calibration listings, never \
those on the test, are fitted by isotonic regression to how often it was right, and a value less \
probable than {COST_OF_WRONG / (1 + COST_OF_WRONG):.2f} is left blank. The learning rate was \
chosen on the same calibration listings.

**The measures.** Net benefit = (right − {COST_OF_WRONG:g} × wrong) / values that the catalog has, \
wrong = suggested and not matching; recall = right / values that the catalog has; precision = \
right / those of them suggested; correct completeness = completeness × precision. Figures are \
means over the seeds with 95 % intervals from {DRAWS:,} bootstrap draws of listings: the luck of a \
training is not in them, the columns by seed show it."""


def _section(data: DataSetFigures) -> str:
    warnings = "".join(f"\n- {warning}" for warning in data.warnings)
    return "\n\n".join(
        part.strip()
        for part in (
            f"## {data.name}",
            tables.parts(data) + warnings,
            "### By round and arm, sealed test, free mode",
            tables.by_round(data),
            f"![shares by round]({data.name}-shares.png)",
            f"### What {data.reference} gained over the base",
            tables.gains(data),
            f"### Differences to {data.reference} after the last round",
            "Paired by listing; an interval without 0 is a difference for these seeds.",
            *(f"{mode.value} mode:\n\n" + tables.against_reference(data, mode) for mode in Mode),
            tables.variants(data),
            "### Free and constrained after the last round",
            tables.modes(data),
            "### How constrained mode was calibrated",
            f"On the {data.parts['calibration']} calibration listings.",
            tables.calibrations(data),
            "### Each seed after the last round",
            tables.seeds(data),
            "### What was trained",
            tables.training(data),
            f"![training loss]({data.name}-loss.png)",
            "### Learning rates",
            "One round from the base on the first seed's selection, judged on the calibration "
            "listings; the rate with the best net benefit is taken for all arms.",
            tables.sweep(data),
            f"![sweep]({data.name}-sweep.png)",
            "### What can be known from the text",
            tables.knowable(data),
            "### What changed",
            tables.samples(data),
            f"### Where {data.reference} still errs after its last round",
            "Values of the catalog by type of attribute and by whether they stand in the text, as "
            "shares. A wrong answer was copied if it stands in the text: the wrong place was read.",
            tables.mistakes(data),
            tables.wrong_answers(data),
        )
    )
