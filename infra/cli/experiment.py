"""`experiment`: what the method does on real catalogs; and what is tried on live traffic."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from infra.cli.output import console
from infra.settings import RUNS, SettingsError, active_settings, load_settings, settings_here

if TYPE_CHECKING:
    from streams.statistics.power import Sellers

NAME = typer.Argument("", help="an experiment or a canary; empty = the one that runs")


def register(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    group = typer.Typer(
        invoke_without_command=True,
        help="Compare strategies and curations over rounds on real catalogs; goes on where it "
        "stopped. The commands but `pictures` are about experiments on live traffic.",
        epilog="Examples: `listune experiment` · `listune experiment --only flipkart` · "
        "`listune experiment --profile full --data catalogs` · `listune experiment --report-only` "
        "· `listune experiment arms`",
    )
    group.callback()(experiment)
    group.command(
        epilog="Examples: `listune experiment pictures` · `listune experiment pictures "
        "--report-only`"
    )(pictures)
    group.command(
        epilog="Examples: `listune experiment arms` · `listune experiment arms canary:default-r2-a1"
        " --out report`"
    )(arms)
    group.command(epilog="Example: `listune experiment table2 titles --out report`")(table2)
    group.command(
        epilog="Examples: `listune experiment plan --difference 0.05` · `listune experiment plan "
        "--acceptance 0.6 --spread 0.2 --share 0.1`"
    )(plan)
    app.add_typer(group, name="experiment")


def experiment(
    context: typer.Context,
    profile: str = typer.Option(
        "laptop",
        help="laptop (sized for 2 cores), reach (one arm, all arrivals), full (for a GPU) or toy",
    ),
    data: Path = typer.Option(
        Path("../shared/data"), help="folder with a folder for each catalog: flipkart, wdc_pave"
    ),
    only: str = typer.Option("", help="which catalogs, with commas between; all if not given"),
    report_only: bool = typer.Option(False, help="write the results folder again, run nothing"),
) -> None:
    """Compare strategies and curations over rounds on real catalogs; goes on where it stopped."""
    if context.invoked_subcommand is not None:
        return
    # Imported here: it brings torch and matplotlib, which other commands do without.
    from infra.lab.bench.results import RESULTS
    from infra.lab.experiment import run as experiment_run
    from infra.lab.experiment.data import DATA_SETS
    from infra.lab.experiment.profiles import PROFILES

    if profile not in PROFILES:
        raise SettingsError(f"there is no profile {profile!r}; take one of {', '.join(PROFILES)}")
    names = set(filter(None, only.replace(" ", "").split(",")))
    unknown = names - {one.name for one in DATA_SETS}
    if unknown:
        known = ", ".join(one.name for one in DATA_SETS)
        raise SettingsError(f"there is no catalog {', '.join(sorted(unknown))}; take of {known}")
    runs, results = RUNS / "experiment" / profile, RESULTS / "experiment"
    if report_only:
        folder = experiment_run.report(PROFILES[profile], runs, results)
    else:
        chosen = [one for one in DATA_SETS if not names or one.name in names]
        settings = load_settings()
        folder = experiment_run.run(
            PROFILES[profile], data, chosen, settings, runs, results, console
        )
    console.print(f"Results: [bold]{folder / 'README.md'}[/]", highlight=False)


def pictures(
    profile: str = typer.Option("laptop", help="laptop (sized for 2 cores) or toy"),
    data: Path = typer.Option(
        Path("../shared/data"), help="folder with flipkart and implicitave, their pictures in it"
    ),
    report_only: bool = typer.Option(False, help="write the results folder again, run nothing"),
) -> None:
    """Measure what a picture brings, beside a text and alone; goes on where it stopped."""
    from infra.lab.bench.results import RESULTS
    from infra.lab.pictures import run as pictures_run
    from infra.lab.pictures.profiles import PROFILES

    if profile not in PROFILES:
        raise SettingsError(f"there is no profile {profile!r}; take one of {', '.join(PROFILES)}")
    runs, results = RUNS / "pictures" / profile, RESULTS / "pictures"
    if report_only:
        folder = pictures_run.report(runs, results)
    else:
        folder = pictures_run.run(PROFILES[profile], data, load_settings(), runs, results, console)
    console.print(f"Results: [bold]{folder / 'README.md'}[/]", highlight=False)


def arms(
    name: str = NAME,
    out: Path | None = typer.Option(None, help="also a page, pictures and data into this folder"),
) -> None:
    """Show what each arm of an experiment on live traffic brings, with intervals."""
    # Imported here: SciPy takes a while.
    from infra.arms.asking import arms_report
    from infra.arms.files import write_report
    from infra.arms.sheets import rich_table, said, sheets

    report = arms_report(active_settings(), name)
    for sheet in sheets(report):
        console.print(rich_table(sheet), highlight=False)
    for line in said(report):
        console.print(line, highlight=False)
    if out is not None:
        console.print(f"Report: [bold]{write_report(report, out)}[/]", highlight=False)


def table2(
    name: str = NAME,
    out: Path | None = typer.Option(None, help="also as Markdown into this folder"),
) -> None:
    """Show the paper's Table 2 of an experiment: acceptance and completeness by arm."""
    from infra.arms.asking import arms_report
    from infra.arms.files import write_table2
    from infra.arms.sheets import rich_table
    from infra.arms.sheets import table2 as sheet_of

    report = arms_report(active_settings(), name)
    console.print(rich_table(sheet_of(report)), highlight=False)
    if out is not None:
        console.print(f"Table: [bold]{write_table2(report, out)}[/]", highlight=False)


def plan(
    difference: float = typer.Option(0.05, help="in acceptance, that is to be seen; may be < 0"),
    share: list[float] = typer.Option(
        [],
        help="of all sellers, in each arm, the control first; one = two such arms; if not given, "
        "those of streams.experiment, else 0.5",
    ),
    acceptance: float | None = typer.Option(
        None, min=0.01, max=0.99, help="mean over sellers; if not given, that of the live pool"
    ),
    spread: float = typer.Option(
        0.2, min=0.01, max=0.5, help="standard deviation between sellers, with --acceptance"
    ),
    values: int = typer.Option(8, min=1, help="suggestions of a listing, with --acceptance"),
    most: int = typer.Option(20_000, min=10, help="sellers at which a simulation is given up"),
    runs: int = typer.Option(200, min=10, help="simulated experiments for each arm"),
) -> None:
    """Say how many sellers an experiment will need, and how many days, before it starts."""
    from infra.arms.sheets import plan_sheet, rich_table
    from infra.progress import bar
    from streams.arms.plan import assumed_sellers
    from streams.arms.plan import plan as simulate

    shares = _shares(share)
    if acceptance is None:
        sellers, a_day = _observed()
    else:
        sellers, a_day = assumed_sellers(acceptance, spread, values), None
    with bar(console) as shown:
        task = shown.add_task("simulated experiments", total=runs * (len(shares) - 1))
        planned = simulate(
            sellers, shares, difference, a_day, most, runs, lambda: shown.advance(task)
        )
    console.print(rich_table(plan_sheet(planned, next(iter(shares)), most)), highlight=False)


def _observed() -> "tuple[Sellers, float | None]":
    """Sellers as the live pool has them, and how many there are in a day."""
    from infra.arms.asking import sellers_seen
    from streams.arms.plan import observed_sellers

    known = sellers_seen(active_settings())
    return observed_sellers(known), known.sellers_a_day


def _shares(given: list[float]) -> dict[str, float]:
    """Arm to share, the control first.

    Raises:
        SettingsError: they are no shares, or more than 1 in all.
    """
    configured = settings_here().streams.experiment.arms
    if not given and configured:
        return {arm.name: arm.share for arm in configured}
    shares = given * 2 if len(given) == 1 else given or [0.5, 0.5]
    if min(shares) <= 0 or sum(shares) > 1 + 1e-9:
        raise SettingsError("the shares lie above 0 and are 1 in all at most; mend --share")
    return {"control" if place == 0 else f"arm {place}": one for place, one in enumerate(shares)}
