"""`listune bench shadow`: how long sellers wait without shadow answers, and beside them.

One stack, on which a canary runs from the first block to the last: it is whose adapter the shadow
orders ask. Blocks with `shadow_share` 0 and 1 take turns; curate, which sends the orders, is
started anew with the other setting, which is not measured.
"""

import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from infra import stack
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, BenchResult, Figures, Goal, Options, begin
from infra.lab.canary.figures import unanswered
from infra.lab.canary.market import Heard, Market
from infra.lab.canary.proposer import CHAMPION, Proposer
from infra.lab.canary.run import PLAYED, Kind, canary_settings
from infra.lab.chaos.evidence import Topics, read_topics
from infra.lab.shadow.figures import PERCENTILES, Compared, Pair, compare, order
from infra.local.supervisor import Supervisor
from infra.progress import bar
from infra.settings import RUNS, Settings
from schemas.errors import ListuneError
from schemas.events import Purpose, Status
from streams.trials import CanarySettings

RATE = 10.0
"""Sellers a second, at random times."""
SHADOW_MOST = 16
"""Shadow orders at once; they are sent once a second, so this is also the most a second."""
TRIED = Kind("as good", CHAMPION, 1, 0.02, 100_000, 0.0)
ENDLESS = CanarySettings(share=TRIED.share, most_sellers=TRIED.most_sellers, error=1e-9, margin=0.0)
"""On trial all the time: nothing is ever sure enough for a decision."""
PAIRS, BLOCK_S = 5, 32.0
QUICK_PAIRS, QUICK_BLOCK_S = 1, 12.0
SETTLE_S = 4.0
"""After curate's start, until it has read on and sent its first orders."""
CANARY_S = 120.0
MOST_RATIO = 1.01
WITHOUT, BESIDE = "without shadow answers", "beside shadow answers"
RATIO = "beside over without"


@dataclass(frozen=True)
class Block:
    """One stretch of time, in seconds since 1970, and tries of shadow orders broken off in it."""

    shadows: bool
    began_s: float
    ended_s: float
    broken_off: int


def run(console: Console, quick: bool = False, seed: int = 7) -> Path:
    """All blocks, the result written and shown; the result file's path.

    quick: two short blocks, and the result is kept aside.
    """
    begun = begin("shadow")
    pairs, block_s = (QUICK_PAIRS, QUICK_BLOCK_S) if quick else (PAIRS, BLOCK_S)
    found = measure(
        (RUNS / "shadow" / str(int(time.time()))).absolute(), console, pairs, block_s, seed
    )
    ratio = found[2].figure("wait_p99_ratio")
    result = replace(
        begun,
        rows=found,
        goals=[
            Goal(
                "p99 of the wait beside shadow answers, over that without", MOST_RATIO, ratio, False
            )
        ],
        constants={"sellers_per_s": RATE, "shadow_most": SHADOW_MOST, "seed": seed},
    )
    return publish([result], bench_folder(quick), draw, console)


def measure(
    run_dir: Path, console: Console, pairs: int, block_s: float, seed: int
) -> list[ArmResult]:
    """Both arms.

    Raises:
        SupervisorError, ListuneError: the stack does not come up, or the canary ends.
    """
    settings = canary_settings(run_dir, TRIED, seed).changed(
        streams={"shadow_most": SHADOW_MOST, "canary": ENDLESS}
    )
    parts = stack.ensure_parts(settings, console)
    resolved = stack.resolve(settings, run_dir, parts, console)
    stack.write_settings(resolved, run_dir)
    specs = [spec for spec in stack.specs(resolved, run_dir, parts) if spec.name not in PLAYED]
    with ExitStack() as ending:
        with console.status("starting the stack"):
            supervisor = ending.enter_context(Supervisor(specs, run_dir))
        base = Path(str(resolved.serving.base_model))
        proposer = ending.enter_context(
            Proposer(resolved.streams, base, run_dir / "registry", [TRIED.acceptance])
        )
        shown = ending.enter_context(bar(console))
        task = shown.add_task("blocks", total=2 * pairs)
        blocks: list[Block] = []
        with Market(resolved.streams, proposer.acceptance, RATE, seed, even=False) as market:
            _await_canary(proposer)
            for shadows in order(pairs):
                if not blocks or blocks[-1].shadows is not shadows:
                    share = {"shadow_share": float(shadows)}
                    stack.write_settings(resolved.changed(streams=share), run_dir)
                    supervisor.restart("curate")
                    time.sleep(SETTLE_S)
                blocks.append(_block(resolved, shadows, block_s))
                supervisor.check()
                proposer.check()
                if proposer.ended:
                    raise ListuneError("the canary ended, and with it the shadow orders; try again")
                shown.update(task, advance=1)
        topics = read_topics(resolved.streams)
    lost = unanswered(topics) + market.outcomes["not sent"] + market.outcomes["no answer"]
    return rows(blocks, market.heard, topics, lost, seed)


def _await_canary(proposer: Proposer) -> None:
    until = time.monotonic() + CANARY_S
    while not proposer.started:
        proposer.check()
        if time.monotonic() > until:
            raise ListuneError(f"no canary began within {CANARY_S:g} s; see curate's log")
        time.sleep(0.2)


def _block(settings: Settings, shadows: bool, block_s: float) -> Block:
    before, began_s = _broken_off(settings), time.time()
    time.sleep(block_s)
    return Block(shadows, began_s, time.time(), _broken_off(settings) - before)


def _broken_off(settings: Settings) -> int:
    """How many tries of shadow orders predict has broken off so far."""
    url = f"http://127.0.0.1:{settings.streams.predict_health_port}/metrics"
    with urllib.request.urlopen(url, timeout=10.0) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("listune_gave_way_total ")]
    return int(float(found[0].split()[1])) if found else 0


def rows(
    blocks: Sequence[Block], heard: Sequence[Heard], topics: Topics, lost: int, seed: int
) -> list[ArmResult]:
    """Both arms, and the second over the first."""
    waits = compare(_pairs(blocks, heard, lambda one: 1000 * one.waited_s), seed)
    latencies = compare(_pairs(blocks, heard, lambda one: one.latency_ms), seed)
    compared = {"wait": waits, "predict": latencies}
    arms = [_arm(name, blocks, heard, topics, compared) for name in (WITHOUT, BESIDE)]
    figures: Figures = {"lost_requests": lost}
    for what, found in compared.items():
        for percent, one in found.items():
            name = f"{what}_p{percent}_ratio"
            ends = {f"{name}_low": one.ratio.low, f"{name}_high": one.ratio.high}
            figures |= {name: one.ratio.value} | ends
    return [*arms, ArmResult(RATIO, {}, figures)]


def _arm(
    name: str,
    blocks: Sequence[Block],
    heard: Sequence[Heard],
    topics: Topics,
    compared: Mapping[str, Mapping[int, Compared]],
) -> ArmResult:
    shadows = name == BESIDE
    numbered = {at: block for at, block in enumerate(blocks) if block.shadows is shadows}
    mine = numbered.values()
    seconds = sum(block.ended_s - block.began_s for block in mine)
    answers = [_shadow_answers(topics, block) for block in mine]
    figures: Figures = {
        "requests": sum(len(_within(heard, block)) for block in mine),
        "shadow_answers_per_s": sum(ok for ok, _ in answers) / seconds,
        "shadow_superseded": sum(superseded for _, superseded in answers),
        "broken_off_per_s": sum(block.broken_off for block in mine) / seconds,
    }
    intervals = []
    for what, found in compared.items():
        for percent, one in found.items():
            told = one.beside if shadows else one.without
            figures[f"{what}_p{percent}_ms"] = told.value
            intervals.append(f"{what} p{percent} {told.low:.0f} to {told.high:.0f}")
    raw = {
        f"wait_ms_{at}": [round(1000 * one.waited_s, 1) for one in _within(heard, block)]
        for at, block in numbered.items()
    }
    settings: Options = {"shadow_share": float(shadows)}
    return ArmResult(name, settings, figures, raw, note=f"95 %, ms: {', '.join(intervals)}")


def _pairs(
    blocks: Sequence[Block], heard: Sequence[Heard], figure: Callable[[Heard], float]
) -> list[Pair]:
    pairs = []
    for one, other in zip(blocks[::2], blocks[1::2], strict=True):
        by_arm = {
            block.shadows: np.array([figure(each) for each in _within(heard, block)])
            for block in (one, other)
        }
        pairs.append(Pair(without=by_arm[False], beside=by_arm[True]))
    return pairs


def _within(heard: Sequence[Heard], block: Block) -> list[Heard]:
    return [one for one in heard if block.began_s <= one.asked_s < block.ended_s]


def _shadow_answers(topics: Topics, block: Block) -> tuple[int, int]:
    """Answers to shadow orders in the block: `ok`, and `superseded`."""
    found = [
        one.event.status
        for one in topics.predictions
        if one.event.purpose is Purpose.SHADOW and block.began_s <= one.at_ms / 1000 < block.ended_s
    ]
    return found.count(Status.OK), found.count(Status.SUPERSEDED)


def draw(result: BenchResult, path: Path) -> Path:
    """Draw how long sellers wait in both arms."""
    arms = replace(result, rows=[row for row in result.rows if row.name != RATIO])
    return draw_bars(arms, [f"wait_p{percent}_ms" for percent in PERCENTILES], path)
