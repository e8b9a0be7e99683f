"""What an import keeps does not grow with its rows."""

import tracemalloc
from pathlib import Path

import pytest

from infra.importing import attributes, delimited, products, surveying
from infra.importing.map import FileForm
from infra.importing.reading import Table
from infra.importing.run import import_files
from infra.importing.surveying import survey


def table(path: Path, columns: int, rows: int, cell: str = "x") -> Table:
    header = ",".join(f"column {n}" for n in range(columns))
    line = ",".join([cell] * columns)
    path.write_text("\n".join([header, *[line] * rows]), encoding="utf-8")
    return Table(path, FileForm())


def test_the_first_rows_and_some_of_the_others_are_looked_at(tmp_path: Path) -> None:
    seen = survey([table(tmp_path / "a.csv", 2, surveying.SAMPLED_FIRST + 101)])
    assert (seen.count, len(seen.sample)) == (surveying.SAMPLED_FIRST + 101, 2_003)


def test_of_wide_rows_and_of_long_cells_fewer_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "SAMPLED_BYTES", 100_000)
    assert len(survey([table(tmp_path / "a.csv", 1, 500)]).sample) == 500
    assert len(survey([table(tmp_path / "a.csv", 100, 500)]).sample) == 9
    assert len(survey([table(tmp_path / "a.csv", 1, 500, "x" * 9_900)]).sample) == 10


def test_each_of_several_files_has_the_same_share_of_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "SAMPLED_AT_MOST", 30)
    several = [table(tmp_path / f"{n}.csv", n, 50) for n in (1, 2, 3)]
    seen = survey(several)
    assert [len(row.cells) for row in seen.sample] == [1] * 10 + [2] * 10 + [3] * 10
    assert seen.columns == ("column 0", "column 1", "column 2")


def test_progress_is_told_while_the_rows_are_looked_at(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", 2, 2_500).path
    path.write_text(path.read_text().replace("column 0", "title"), encoding="utf-8")
    told: list[tuple[str, int, int]] = []
    import_files([path], tmp_path / "out.jsonl", told=lambda *args: told.append(args))
    assert told == [
        ("looking at the rows", 1_000, 0),
        ("looking at the rows", 2_000, 0),
        ("importing", 1_000, 2_500),
        ("importing", 2_000, 2_500),
        ("importing", 2_500, 2_500),
    ]


@pytest.mark.slow
def test_ten_times_the_rows_take_no_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (surveying, "SAMPLED_FIRST", 100),
        (surveying, "SAMPLED_AT_MOST", 100),
        (attributes, "KEPT_CELLS", 100),
        (attributes, "KEPT_NAMES", 100),
        (products, "KEPT_CATEGORIES", 100),
        (products, "MOST_KINDS", 100),
        (delimited, "_BLOCK", 10_000),
    ):
        monkeypatch.setattr(module, name, value)

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("sku,parent sku,category,title,color,more\n")
            for n in range(count):
                # Everything is new in each family, and one in ten is there twice.
                file.write(f"A{n - n % 10 // 9},P{n},K {n},Ware {n},color {n},a{n}=1;b{n}=2\n")
                file.write(f"B{n},P{n},k {n},Ware {n},color {n},a{n}=1;b{n}=2\n")
        tracemalloc.start()
        try:
            import_files([path], tmp_path / "out" / "products.jsonl")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is loaded and compiled once
    assert peak(3_000) < peak(300) + 100_000
