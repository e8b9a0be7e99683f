"""`experiment`: what the method does on real catalogs, measured fairly."""

from pathlib import Path

import typer

from infra.cli.output import console
from infra.settings import RUNS, SettingsError, load_settings


def register(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(
        epilog="Examples: `listune experiment` · `listune experiment --only flipkart` · "
        "`listune experiment --profile full --data catalogs` · `listune experiment --report-only`"
    )(experiment)


def experiment(
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
