"""All adapters of a run, judged on the same listings, so that their figures can be compared.

A round's gate judges on the held-out listings that are there at that time. Here the base, the base
with a worked example and every round's adapter answer for all held-out listings that arrived. They
are scored by the catalog's whole truth: what a simulated seller submits leans towards what was
shown. The worked examples are what a deployment would have: listings that arrived and are not held
out, with what their sellers submitted.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.catalogs.catalog import Product, listing_row
from infra.catalogs.grouping import parted
from infra.settings import Settings
from schemas.category import CategorySchemas
from schemas.errors import ListuneError
from schemas.events import ValueLists
from trainer.results import ARMS, FAILURE, JOB, SIDE_BY_SIDE, Contender, SideBySideJob


def judge_side_by_side(
    settings: Settings,
    schemas: CategorySchemas,
    arrived: Sequence[Product],
    submitted: Mapping[str, ValueLists],
    adapters: Sequence[str],
    seen: Mapping[str, Sequence[str]],
) -> list[Contender]:
    """Judge the base, the base with an example, and `adapters`, in a process of its own.

    Its progress bars go to this terminal; its files are in `side-by-side` under
    `trainer.work_dir`.

    Args:
        arrived: the products that arrived; those that are held out judge.
        submitted: listing id to the values that its seller submitted.
        adapters: ids of adapters in the registry.
        seen: listing id to the hashes of what was seen of its pictures.

    Raises:
        ListuneError: the judging failed; the message is its own.
    """
    folder = settings.trainer.work_dir / "side-by-side"
    folder.mkdir(parents=True, exist_ok=True)
    heldout, examples = folder / "heldout.jsonl", folder / "examples.jsonl"
    judging, shown = parted(arrived, settings.streams.heldout_share)

    def row(product: Product, values: ValueLists) -> dict[str, Any]:
        return listing_row(product, schemas, values, seen.get(product.product_id, ()))

    _write(heldout, (row(p, p.truth) for p in judging))
    _write(examples, (row(p, submitted[p.product_id]) for p in shown))
    job = SideBySideJob(
        trainer=settings.trainer,
        serving=settings.serving,
        folder=folder,
        heldout=heldout,
        examples=examples if shown else None,
        adapters=list(adapters),
    )
    (folder / JOB).write_text(job.model_dump_json())
    command = [sys.executable, "-m", "trainer.side_by_side", "--job", str(folder / JOB)]
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        failure = folder / FAILURE
        reason = json.loads(failure.read_text())["reason"] if failure.exists() else "see above"
        raise ListuneError(f"the adapters could not be judged side by side: {reason}")
    return ARMS.validate_json((folder / SIDE_BY_SIDE).read_bytes())


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
