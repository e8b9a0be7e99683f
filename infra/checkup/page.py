"""A check as files: `report.json`, and `report.html`, one page that opens without a network."""

from pathlib import Path
from tempfile import TemporaryDirectory

from infra.checkup.report import CheckReport
from infra.checkup.tables import catalog_lines, figures, verdict
from infra.page import embedded, render

TEMPLATE = Path(__file__).with_name("page.html")


def write_check(report: CheckReport, folder: Path) -> list[Path]:
    """Write the files into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = folder / "report.json", folder / "report.html"
    data.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    page.write_text(_page(report), encoding="utf-8")
    return [data, page]


def _page(report: CheckReport) -> str:
    values = {
        "report": report,
        "verdict": verdict(report),
        "lines": list(catalog_lines(report)),
        "figures": figures,
        "images": _pictures(report) if report.attributes else {},
    }
    return render(TEMPLATE, values)


def _pictures(report: CheckReport) -> dict[str, str]:
    # Drawing takes a second to import, which a check without a page should not pay.
    from infra.checkup.plots import plot_filled, plot_lengths

    with TemporaryDirectory() as folder:
        drawn = {
            "Filled and refused": plot_filled(report, Path(folder) / "filled.png"),
            "Longest answers": plot_lengths(report, Path(folder) / "lengths.png"),
        }
        return {name: embedded(path) for name, path in drawn.items()}
