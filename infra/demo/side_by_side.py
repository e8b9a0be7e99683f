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

from pydantic import BaseModel, ConfigDict, TypeAdapter

from infra.demo.catalog import Product, listing_row
from infra.settings import Settings
from schemas.category import CategorySchemas
from schemas.errors import ListuneError
from schemas.events import RoundMetrics, ValueLists
from schemas.heldout import is_held_out
from trainer.results import Difference

BASE, ONE_EXAMPLE = "base", "base, one example"
RESULT = "side-by-side.json"


class Judged(BaseModel):
    """One of those that were judged side by side."""

    model_config = ConfigDict(frozen=True)

    name: str  # `BASE`, `ONE_EXAMPLE` or an adapter's id
    metrics: RoundMetrics
    evaluation: Path  # a `trainer.evaluate.Evaluation`, JSON
    seconds: float
    difference: Difference | None = None  # net benefit minus the base's


_JUDGED = TypeAdapter(list[Judged])


def judge_side_by_side(
    settings: Settings,
    schemas: CategorySchemas,
    arrived: Sequence[Product],
    submitted: Mapping[str, ValueLists],
    adapters: Sequence[str],
) -> list[Judged]:
    """Judge the base, the base with an example, and `adapters`, in a process of its own.

    Its progress bars go to this terminal; its files are in `side-by-side` under
    `trainer.work_dir`.

    Args:
        arrived: the products that arrived; those that are held out judge.
        submitted: listing id to the values that its seller submitted.
        adapters: ids of adapters in the registry.

    Raises:
        ListuneError: the judging failed; the message is its own.
    """
    folder = settings.trainer.work_dir / "side-by-side"
    folder.mkdir(parents=True, exist_ok=True)
    heldout, examples = folder / "heldout.jsonl", folder / "examples.jsonl"
    judging, shown = parted(arrived, settings.streams.heldout_share)
    _write(heldout, (listing_row(p, schemas, p.truth) for p in judging))
    _write(examples, (listing_row(p, schemas, submitted[p.product_id]) for p in shown))
    job = {
        "trainer": settings.trainer.model_dump(mode="json"),
        "serving": settings.serving.model_dump(mode="json"),
        "folder": str(folder),
        "heldout": str(heldout),
        "examples": str(examples),
        "adapters": list(adapters),
    }
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "trainer.round", "--job", str(folder / "job.json")]
    done = subprocess.run([*command, "--side-by-side"], check=False)
    if done.returncode != 0:
        failure = folder / "failure.json"
        reason = json.loads(failure.read_text())["reason"] if failure.exists() else "see above"
        raise ListuneError(f"the adapters could not be judged side by side: {reason}")
    return _JUDGED.validate_json((folder / RESULT).read_bytes())


def parted(products: Iterable[Product], share: float) -> tuple[list[Product], list[Product]]:
    """Those of `products` that are held out where `share` of all are, and the others."""
    parts: tuple[list[Product], list[Product]] = ([], [])
    for product in products:
        parts[0 if is_held_out(product.product_id, share) else 1].append(product)
    return parts


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
