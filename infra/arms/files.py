"""A report of an experiment as files.

<folder>/arms.md            all tables, and what is to be known of the whole
         table2.md          the paper's Table 2 alone
         arms.json          every figure, and the points of the pictures
         acceptance.png     each arm as its sellers came
         net_benefit.png
"""

import json
from datetime import date
from pathlib import Path

from pydantic import TypeAdapter

from infra.arms.sheets import markdown, said, sheets, table2
from infra.machine import commit, describe
from serving.process.files import write_file
from streams.arms.report import DRAWN, ArmsReport

PAGE, TABLE2, DATA = "arms.md", "table2.md", "arms.json"


def write_report(report: ArmsReport, folder: Path, made_by: str = "") -> Path:
    """Write the files into `folder`; returns the page. `made_by`: the commit that stood in the
    checkout at the beginning; empty = the one that stands there now."""
    # Drawing takes a second to import.
    from infra.arms.pictures import plot_path

    pictures = [plot_path(report, measure, folder / f"{measure}.png") for measure in DRAWN]
    made = {"date": date.today().isoformat(), "commit": made_by or commit(), "machine": describe()}
    parts = [f"# Experiment {report.experiment}\n", f"{' · '.join(made.values())}\n"]
    parts += [*(f"{line}\n" for line in said(report))]
    parts += [markdown(sheet) for sheet in sheets(report)]
    parts += [f"![{path.stem}]({path.name})\n" for path in pictures]
    write_file(folder / PAGE, "\n".join(parts).encode())
    write_table2(report, folder)
    data = made | TypeAdapter(ArmsReport).dump_python(report, mode="json")
    write_file(folder / DATA, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())
    return folder / PAGE


def write_table2(report: ArmsReport, folder: Path) -> Path:
    """Write Table 2 alone; returns its file."""
    write_file(folder / TABLE2, markdown(table2(report)).encode())
    return folder / TABLE2
