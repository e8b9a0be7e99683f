"""The results folder, written from the figures alone and written anew as often as one likes.

README.md              tables and pictures, opening with findings.md where that is
findings.md            what held and what did not, written by a person; never touched here
figures.json           everything that was measured
<catalog>-recall.png   recall by what was shown
"""

from pathlib import Path

from infra.lab.experiment.figures import COST_OF_WRONG
from infra.lab.experiment.report import FINDINGS, NO_FINDINGS
from infra.lab.experiment.statistics import DRAWS
from infra.lab.pictures import tables
from infra.lab.pictures.figures import FILLED, READS, SEES, VIEWS, CatalogFigures, PicturesFigures
from infra.lab.pictures.plot import plot_recall


def write_report(figures: PicturesFigures, results: Path) -> Path:
    """Write the results folder below `results`; its path."""
    commit = figures.begun.commit.replace("+", "-changed")
    folder = results / f"{figures.profile}-{figures.begun.date}-{commit}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(figures.model_dump_json() + "\n", encoding="utf-8")
    for data in figures.catalogs:
        plot_recall(data, folder / f"{data.name}-recall.png")
    findings = folder / FINDINGS
    said = findings.read_text(encoding="utf-8").strip() if findings.exists() else NO_FINDINGS
    parts = [
        _head(figures),
        said,
        "## Goals",
        tables.goals_table(figures),
        *(_section(data) for data in figures.catalogs),
        "## What was trained",
        tables.trained(figures),
        "## What was tried before",
        _tried(figures) if figures.trials else "Nothing.",
    ]
    page = "\n\n".join(part.strip() for part in parts)
    (folder / "README.md").write_text(page + "\n", encoding="utf-8")
    return folder


def _tried(figures: PicturesFigures) -> str:
    catalogs = " and ".join(dict.fromkeys(one.catalog for one in figures.trials))
    return f"""\
On calibration listings of {catalogs}, by {SEES}, one seed: recall in per cent and loss in nats a
label token, by what was shown; the last column is the loss with both against the first of its kind,
paired by listing.

{tables.trials(figures)}"""


def _head(figures: PicturesFigures) -> str:
    begun, seeds = figures.begun, figures.settings["seeds"]
    done = len({(one.catalog, one.seed) for one in figures.trained})
    wanted = len(seeds) * len(figures.settings["steps"])
    missing = "" if done == wanted else f" ({done} of {wanted} trainings of each arm are done)"
    return f"""\
# What pictures bring: `{figures.profile}`, {begun.date}

`listune experiment pictures --profile {figures.profile}` at commit {begun.commit} with
{begun.base_model} and the frozen encoder {figures.encoder}, on {begun.machine}. Tables and
pictures are written by the command; the findings by hand.

**The arms.** *{SEES}* sees a picture as rows of the trunk, through a projector that is trained
with LoRA; *{READS}* is the same with `pictures = 0`. Both start from the base and train the same
listings in the same steps, an adapter for each catalog. Of an image-only listing {READS} has its
category alone.

**The baselines** are fitted on all arrivals, each with text and picture. *nearest picture* has the
values of the category's product whose picture is most similar (cosine of the frozen encoder's
features); with *{FILLED.strip()}* what that product leaves blank comes from the next most similar.

**The test.** No test product shares a near-duplicate title, a brand or a leading word with one
that arrives or calibrates. Each is judged three times: its text alone, its picture alone (with the
category), and both; in constrained mode, without a calibration, so that nobody abstains. Every
setting stands in the profile before a test is opened.

**The measures** are those of `listune experiment`: net benefit = (right − {COST_OF_WRONG:g} ×
wrong) / values that the catalog has; recall = right / values that the catalog has. Per cent, with
95 % intervals from {DRAWS:,} bootstrap draws of listings; differences are paired by listing. Seeds:
{", ".join(map(str, seeds))}{missing}; the luck of a training is not in the intervals."""


def _section(data: CatalogFigures) -> str:
    warnings = "".join(f"\n- {warning}" for warning in data.warnings)
    return "\n\n".join(
        part.strip()
        for part in (
            f"## {data.name}",
            tables.mix(data) + warnings,
            f"![recall by what was shown]({data.name}-recall.png)",
            *(tables.by_view(data, view) for view in VIEWS),
            "### Differences",
            tables.differences(data),
            "### Each seed",
            tables.seeds(data),
        )
    )
