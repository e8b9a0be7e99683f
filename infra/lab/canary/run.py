"""`listune bench canary`: harmful, mildly worse and equally good adapters, each by a canary.

Each kind has a stack of its own. The canaries of a kind follow each other on it, each with a new
adapter and new sellers.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from transformers import AutoModelForCausalLM

from infra import stack
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Goal, begin
from infra.lab.canary.figures import Course, courses, exposed_share, unanswered
from infra.lab.canary.market import SCHEMAS, Market
from infra.lab.canary.proposer import CHAMPION, Proposer
from infra.lab.chaos.evidence import read_topics
from infra.lab.small import small_settings
from infra.local.supervisor import Supervisor
from infra.progress import bar
from infra.settings import RUNS, Settings
from schemas.errors import ListuneError
from schemas.sources.json_schema import write_schemas
from streams.trials import CanarySettings

PLAYED = ("trainer", "sql")
"""Processes of the stack that are not started: played by others, and not needed."""
RATE = 15.0
"""Sellers a second. While the conductor comes to look, the next ones get the adapter, too."""
SETTLE_S = 2.0


@dataclass(frozen=True)
class Kind:
    """One kind of adapter. acceptance: of its suggestions; the champion's are `CHAMPION`."""

    name: str
    acceptance: float
    runs: int
    share: float
    most_sellers: int
    stall_s: float


KINDS = (
    Kind("harmful", 0.05, 30, 0.1, 500, 240.0),
    Kind("mildly worse", 0.40, 3, 0.3, 500, 600.0),
    Kind("as good", CHAMPION, 1, 0.3, 200, 600.0),
)


def run(console: Console, quick: bool = False, seed: int = 7) -> Path:
    """All kinds, the result written and shown; the result file's path.

    quick: two harmful adapters, and the result is kept aside.
    """
    begun, kinds = begin("canary"), [replace(KINDS[0], runs=2)] if quick else KINDS
    rows = []
    for number, kind in enumerate(kinds):
        folder = (RUNS / "canary" / f"{int(time.time())}-{number}").absolute()
        rows.append(measure(kind, folder, console, seed + number))
    constants: dict[str, str | int | float | bool | None] = {
        "champion_acceptance": CHAMPION,
        "sellers_per_s": RATE,
        "seed": seed,
    }
    result = replace(begun, rows=rows, goals=goals(rows), constants=constants)
    return publish([result], bench_folder(quick), draw, console)


def measure(kind: Kind, run_dir: Path, console: Console, seed: int) -> ArmResult:
    """All canaries of one kind on one stack.

    Raises:
        SupervisorError, ListuneError: the stack does not come up, or a canary does not end.
    """
    settings = canary_settings(run_dir, kind, seed)
    parts = stack.ensure_parts(settings, console)
    resolved = stack.resolve(settings, run_dir, parts, console)
    (run_dir / "settings.json").write_text(resolved.model_dump_json(indent=1))
    started = [s for s in stack.specs(resolved, run_dir, parts) if s.name not in PLAYED]
    with ExitStack() as ending:
        with console.status(f"{kind.name}: starting the stack"):
            ending.enter_context(Supervisor(started, run_dir))
        base = Path(str(resolved.serving.base_model))
        plan = [kind.acceptance] * kind.runs
        proposer = ending.enter_context(
            Proposer(resolved.streams, base, run_dir / "registry", plan)
        )
        shown = ending.enter_context(bar(console))
        task = shown.add_task(kind.name, total=kind.runs)
        began = time.monotonic()
        with Market(resolved.streams, proposer.acceptance, RATE, seed) as market:
            heard = time.monotonic()
            while proposer.ended < kind.runs:
                time.sleep(0.2)
                proposer.check()
                if proposer.ended != shown.tasks[0].completed:
                    heard = time.monotonic()
                    shown.update(task, completed=proposer.ended)
                if time.monotonic() - heard > kind.stall_s:
                    raise ListuneError(
                        f"a canary has not ended for {kind.stall_s:g} s; see {run_dir}/logs"
                    )
            time.sleep(SETTLE_S)  # what was asked before the last decision is answered
        minutes = (time.monotonic() - began) / 60
        topics = read_topics(resolved.streams)
    canary = resolved.streams.canary
    found = courses(topics, canary.cost_of_wrong, canary.error, canary.margin)
    lost = unanswered(topics) + market.outcomes["not sent"] + market.outcomes["no answer"]
    return _row(kind, found, lost, len(topics.requests), exposed_share(topics, found), minutes)


def canary_settings(folder: Path, kind: Kind, seed: int) -> Settings:
    """A small stack on which one round follows the other, each with a canary."""
    folder.mkdir(parents=True, exist_ok=True)
    write_schemas(folder / "schema.json", SCHEMAS)
    small = small_settings(folder, seed)
    answer_always(Path(str(small.local.base_model)))
    return small.changed(
        streams={
            "schema_path": folder / "schema.json",
            "selection": "edits",
            "k": 4,
            "heldout_share": 0.1,
            "heldout_least": 1,
            "max_share_per_category": 1.0,
            "cool_down_s": 0.0,
            "pause_after": 1_000_000,
            "max_rounds": 0,
            "backfill_factor": 0,
            "canary": CanarySettings(share=kind.share, most_sellers=kind.most_sellers),
        }
    )


def answer_always(base: Path) -> None:
    """Changes a tiny model so that it seldom prefers no value to all values: sellers are then shown
    nearly as many by all adapters, and only how often they accept them differs."""
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.lm_head.weight[model.config.eos_token_id] = 0.0
    model.save_pretrained(base)


def _row(
    kind: Kind,
    found: Sequence[Course],
    lost: int,
    requests: int,
    exposed: float,
    minutes: float,
) -> ArmResult:
    sellers = [course.sellers for course in found]
    needed = [course.needed for course in found if course.needed is not None]
    decided = [course.decided_s for course in found if course.decided_s is not None]
    last = [course.last_answer_s for course in found if course.last_answer_s is not None]
    live = sum(course.live for course in found)
    return ArmResult(
        name=kind.name,
        settings={
            "acceptance": kind.acceptance,
            "share": kind.share,
            "most_sellers": kind.most_sellers,
        },
        figures={
            "canaries": len(found),
            "back": sum(course.back for course in found),
            "needed_p50": _percentile(needed, 50),
            "needed_p90": _percentile(needed, 90),
            "sellers_p50": _percentile(sellers, 50),
            "sellers_p90": _percentile(sellers, 90),
            "sellers_most": max(sellers, default=None),
            "decided_p50_s": _percentile(decided, 50),
            "decided_most_s": max(decided, default=None),
            "last_answer_most_s": max(last, default=None),
            "requests": requests,
            "lost_requests": lost,
            "exposed_share": exposed,
            "exposed_share_in_canaries": sum(c.exposed for c in found) / max(1, live),
            "minutes": round(minutes, 1),
        },
        raw={
            "sellers": [float(number) for number in sellers],
            "needed": [float(number) for number in needed],
            "parents": [float(course.parents) for course in found],
            "decided_s": decided,
            "last_answer_s": last,
        },
        note=found[-1].reason if found else "",
    )


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What the figures should reach."""
    wanted: list[Goal] = []
    for row in rows:
        count = row.figure("canaries") or 0
        lost, back = row.figure("lost_requests"), row.figure("back")
        wanted.append(Goal(f"{row.name}: lost requests", 0, lost, False))
        if row.name == "as good":
            wanted.append(Goal(f"{row.name}: back at the parent", 0, back, False))
            continue
        wanted.append(Goal(f"{row.name}: back at the parent", count, back))
        if row.name == "harmful":
            wanted += [
                Goal(f"{row.name}: reviewed sellers, p90", 20, row.figure("sellers_p90"), False),
                Goal(
                    f"{row.name}: seconds from the deciding review to its last answer",
                    5,
                    row.figure("last_answer_most_s"),
                    False,
                ),
                Goal(
                    f"{row.name}: share of traffic exposed", 0.1, row.figure("exposed_share"), False
                ),
            ]
    return wanted


def draw(result: BenchResult, path: Path) -> Path:
    """Draw how many sellers each kind needed, and how soon it was decided."""
    return draw_bars(result, ("sellers_p50", "sellers_p90", "decided_p50_s"), path)


def _percentile(numbers: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(numbers, percent)) if len(numbers) else None
