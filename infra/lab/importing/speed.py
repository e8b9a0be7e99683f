"""How fast `listune import` is, and in how much memory: a generated CSV of many rows, once.

Run as `python -m infra.lab.importing`; what it measured is written to docs/results/import/. The
import runs in a process of its own, whose peak of resident memory is taken. The CSV has 16 columns:
ids, variants of a parent, paths of categories, HTML, lists, decimal commas, units in a second
column, booleans, dates, and a row in 500 with a fault.
"""

import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from infra import machine
from infra.importing.run import import_files

RESULTS = machine.REPOSITORY / "docs" / "results" / "import"
COUNTS = (10_000, 100_000, 1_000_000)
FAULTY = 500
HEADER = (
    "SKU", "Parent SKU", "Kategorie", "Produktname", "Beschreibung", "Bild 1", "Bild 2", "Marke",
    "Farbe", "Material", "Gewicht", "Gewicht Einheit", "Höhe (cm)", "Spülmaschinenfest",
    "Im Sortiment seit", "Preis",
)  # fmt: skip
COLORS = ("rot", "blau", "grün", "schwarz", "weiß", "sand", "petrol", "oliv")
MATERIALS = ("Keramik", "Glas", "Stahl", "Holz", "Leinen", "Wolle", "Kork")


@dataclass(frozen=True)
class Measured:
    """One import: wall time and processor time with both passes over the file; `peak_mb` is
    resident."""

    rows: int
    file_mb: float
    products: int
    values: int
    rejected: int
    seconds: float
    cpu_s: float
    rows_per_s: float
    rows_per_cpu_s: float
    peak_mb: float


def rows(count: int, seed: int = 7) -> Iterator[tuple[str, ...]]:
    """The rows of the generated file, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        family = number // 4
        color, material = chance.choice(COLORS), chance.choice(MATERIALS)
        yield (
            "" if number % FAULTY == FAULTY - 1 else f"A-{number:07d}",
            f"P-{family:06d}",
            f"Haushalt > Gruppe {family % 12} > Art {family % 60}",
            f"Ware {family} aus {material}, {color}",
            f"<p>Aus {material} &amp; von Hand gemacht.</p> Sie ist {color} und hält lange. " * 3,
            f"https://img.example/{family}.jpg",
            f"https://img.example/{number}.jpg",
            f"Marke {family % 97}",
            f"{color}|{chance.choice(COLORS)}",
            material,
            f"{chance.uniform(0.1, 9):.2f}".replace(".", ","),
            "kg",
            f"{chance.uniform(5, 60):.1f}".replace(".", ","),
            chance.choice(("Ja", "Nein")),
            f"{chance.randint(1, 28):02d}.{chance.randint(1, 12):02d}.20{chance.randint(10, 25)}",
            "9,99",
        )


def measure(count: int, folder: Path) -> Measured:
    """Write a file of `count` rows into `folder` and import it in a process of its own."""
    path = folder / "generated.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        writer.writerows(rows(count))
    command = [sys.executable, "-m", "infra.lab.importing", str(path), str(folder / "p.jsonl")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Measured(rows=count, file_mb=round(path.stat().st_size / 1e6, 1), **json.loads(told))


def _import(path: Path, out: Path) -> dict[str, float | int]:
    begin, cpu = time.perf_counter(), time.process_time()
    report = import_files([path], out)
    seconds, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    return {
        "products": report.products,
        "values": report.values,
        "rejected": report.reasons.total(),
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu_s, 2),
        "rows_per_cpu_s": round(report.rows / cpu_s),
        "rows_per_s": round(report.rows / seconds),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def publish(measured: list[Measured]) -> Path:
    """Write the figures as JSON and Markdown, dated and with the commit."""
    name = f"import-{date.today().isoformat()}-{machine.commit().rstrip('+')}"
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {
        "commit": machine.commit(),
        "machine": machine.facts(),
        "measured": [asdict(one) for one in measured],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [
        "| rows | file | products | values | left out | time | rows/s | of the processor | "
        "rows/s of the processor | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {m.rows:,} | {m.file_mb:,} MB | {m.products:,} | {m.values:,} | {m.rejected:,} | "
            f"{m.seconds} s | {m.rows_per_s:,} | {m.cpu_s} s | {m.rows_per_cpu_s:,} | "
            f"{m.peak_mb} MB |"
            for m in measured
        ),
    ]
    text = (
        "# `listune import` of a generated CSV\n\n"
        "16 columns, guessed map, one process; time with both passes over the file "
        "(`infra/lab/importing/speed.py`).\n\n"
        + "\n".join(lines)
        + f"\n\n{machine.describe()}; commit {machine.commit()}.\n"
    )
    page = RESULTS / f"{name}.md"
    page.write_text(text, encoding="utf-8")
    return page


def main(arguments: Sequence[str]) -> None:
    """Measure files of several sizes, so that it shows whether memory grows with them; or, in the
    process that is measured, import one file."""
    if arguments:
        print(json.dumps(_import(*map(Path, arguments))))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(publish([measure(count, Path(folder)) for count in COUNTS]))
