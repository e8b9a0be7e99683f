"""From what an arm's process measured to its row, its arithmetic limit, and the goals."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any

import numpy as np

from infra.lab.bench.flops import DecoderSizes, listing_flops, visible_keys
from infra.lab.bench.goals import best, first, ratio, rows_with
from infra.lab.bench.photographs import NEW, NONE, PICTURED
from infra.lab.bench.results import ArmResult, Figures, Goal, Options
from infra.lab.bench.serving.adapters import BASE, ONE, TWO
from infra.lab.bench.serving.host_figures import host_goals
from infra.lab.bench.serving.pushes_figures import push_goals
from infra.lab.bench.serving.workload import ListingPlan, Workload

COUNTS = ("forward_passes", "tokens_computed", "logits_computed", "tokens_generated")
ADAPTERS = {BASE: "the base", ONE: "one adapter", TWO: "two adapters"}
CROWD = 32
"""Listings in flight in the second measurement, where it is meant for the goals."""


def row_of(name: str, settings: Options, outcome: dict[str, Any]) -> ArmResult:
    """The row of an arm whose process measured `outcome`."""
    if reason := outcome.get("not_run"):
        return ArmResult(name, settings, not_run=reason)
    seconds = outcome["seconds"]
    crowd = outcome["crowd"]
    figures: Figures = {
        "listings": len(seconds),
        **{f"p{p}_s": float(np.percentile(seconds, p)) if seconds else None for p in (50, 90)},
        "crowd_listings": crowd["listings"] if crowd else None,
        "listings_per_s": crowd["listings"] / crowd["seconds"] if crowd else 1 / fmean(seconds),
    }
    raw = {"listing_s": seconds} if seconds else {}
    for count in COUNTS:
        values = [work[count] for work in outcome["works"]]
        known = bool(values) and None not in values
        figures[f"{count}_per_listing"] = fmean(values) if known else None
        if known:
            raw[count] = values
    if crowd:
        raw["crowd_s"] = [crowd["seconds"]]
        raw |= {f"crowd_{n}": [crowd["work"][n]] for n in COUNTS if crowd["work"][n] is not None}
        raw["crowd_finished_s"] = crowd["finished"]
        # Where many listings share a pass, these are fewer than the sum of each listing's own.
        figures["crowd_forward_passes"] = crowd["work"]["forward_passes"]
    figures["peak_memory_mb"] = outcome["peak_memory_mb"]
    figures["warm_up_s"] = outcome["warm_up_s"]
    return ArmResult(name, {**settings, **outcome["settings"]}, figures, raw)


def seeing_rows(name: str, told: Options, outcome: dict[str, Any]) -> list[ArmResult]:
    """The rows of listings with and without a picture, as `infra.lab.bench.serving.seeing` measured
    them: alone and in a crowd, and those of who waits without one."""
    if reason := outcome.get("not_run"):
        return [ArmResult(name, told, not_run=reason)]
    rows = []
    common = {key: outcome[key] for key in ("settings", "warm_up_s", "peak_memory_mb")}
    for kind, of_kind in outcome["alone"].items():
        settings = {**told, "picture": kind}
        row = row_of(
            f"{name}, {PICTURED[kind]}",
            settings,
            {**common, **of_kind, "crowd": outcome["crowd"][kind]},
        )
        rows.append(replace(row, figures=row.figures | _beside_text(kind, outcome)))
    for kind, rounds in outcome["waits"].items():
        if rounds:
            settings = {**told, **outcome["settings"], "waits": kind}
            rows.append(
                _waits_row(
                    f"who sends text, others {PICTURED[kind]}", settings, kind, outcome["waits"]
                )
            )
    return rows


def _beside_text(kind: str, outcome: dict[str, Any]) -> Figures:
    """What a picture adds: in times of the same listing without one, and the eyes' own part."""
    if kind == NONE:
        return {"trunk_rows_per_listing": outcome["text_rows"]}
    seconds, of_text = (outcome["alone"][k]["seconds"] for k in (kind, NONE))
    figures: Figures = {
        "times_text": median(mine / other for mine, other in zip(seconds, of_text, strict=True)),
        "trunk_rows_per_listing": outcome["text_rows"] + outcome["picture_rows"],
    }
    if outcome["crowd"][kind]:
        spent, of_text = (outcome["crowd"][k]["seconds"] for k in (kind, NONE))
        figures["crowd_times_text"] = spent / of_text
    if kind == NEW:
        eyes = outcome["eyes_ms"]
        figures |= {f"{part}_ms": eyes[part] for part in ("decode", "encode", "project")}
        figures["eyes_share"] = eyes["all"] / 1e3 / median(seconds)
    return figures


def adapter_rows(name: str, told: Options, outcome: dict[str, Any]) -> list[ArmResult]:
    """The rows of listings by the base, one adapter and two, as `infra.lab.bench.serving.adapters`
    measured them."""
    if reason := outcome.get("not_run"):
        return [ArmResult(name, told, not_run=reason)]
    rows = []
    common = {key: outcome[key] for key in ("settings", "warm_up_s", "peak_memory_mb")}
    for kind, crowd in outcome["crowd"].items():
        # Two adapters are a matter of crowds: their row has no listing alone.
        of_kind = outcome["alone"].get(kind, {"seconds": [], "works": []})
        row = row_of(
            f"{name}, {ADAPTERS[kind]}",
            {**told, "adapters": kind},
            {**common, **of_kind, "crowd": crowd},
        )
        rows.append(replace(row, figures=row.figures | _beside_base(kind, outcome)))
    return rows


def _beside_base(kind: str, outcome: dict[str, Any]) -> Figures:
    """What adapters cost, in times of the base: the same listing alone, the same crowd; medians."""
    if kind == BASE:
        return {}
    figures: Figures = {}
    if kind in outcome["alone"]:
        alone = [outcome["alone"][k]["seconds"] for k in (kind, BASE)]
        figures["times_base"] = median(mine / base for mine, base in zip(*alone, strict=True))
    crowds = [outcome["crowd"][k]["rounds"] for k in (kind, BASE)]
    figures["crowd_times_base"] = median(mine / base for mine, base in zip(*crowds, strict=True))
    return figures


def _waits_row(
    name: str, settings: Options, kind: str, waits: dict[str, list[list[float]]]
) -> ArmResult:
    """The waits of those without a picture, all rounds together; and in times of the same round
    without pictures, the median of the rounds."""
    figures: Figures = {}
    for share in (50, 90):
        figures[f"p{share}_s"] = float(np.percentile(np.concatenate(waits[kind]), share))
    for share in (50, 90) if kind != NONE else ():
        times = [
            float(np.percentile(mine, share) / np.percentile(other, share))
            for mine, other in zip(waits[kind], waits[NONE], strict=True)
        ]
        figures |= {
            f"p{share}_times": median(times),
            f"p{share}_times_least": min(times),
            f"p{share}_times_most": max(times),
        }
    raw = {f"round_{number}_s": seconds for number, seconds in enumerate(waits[kind])}
    return ArmResult(name, settings, figures, raw)


def with_limit(
    row: ArmResult, workload: Workload, shape: DecoderSizes, rates: dict[str, float]
) -> ArmResult:
    """`row` of our own arm with `limit_s`, `limit_share` and `crowd_limit_share`.

    The limit is that of `infra.lab.bench.flops`; the shares are of the seconds that were taken.

    Unchanged where the arm did not run or does not count what it computes.
    """
    dtype = str(row.settings.get("dtype"))
    tokens, logits = row.raw.get("tokens_computed"), row.raw.get("logits_computed")
    if row.not_run or tokens is None or logits is None or dtype not in rates:
        return row
    batches = int(row.settings["batches"] or 0)
    keys = [
        visible_keys(len(plan.trunk), branch_lengths(plan, batches, count))
        for plan, count in zip(workload.plans, tokens, strict=False)
    ]
    rate = rates[dtype] * 1e9
    limits = [listing_flops(shape, *work) / rate for work in zip(tokens, logits, keys, strict=True)]
    figures = row.figures | {
        "limit_s": fmean(limits),
        "limit_share": sum(limits) / sum(row.raw["listing_s"]),
    }
    if {"crowd_tokens_computed", "crowd_logits_computed"} <= row.raw.keys():
        (crowd_tokens,) = row.raw["crowd_tokens_computed"]
        (crowd_logits,) = row.raw["crowd_logits_computed"]
        # The crowd's listings are of the same kind, so a token of theirs sees as many keys.
        crowd_keys = crowd_tokens * sum(keys) / sum(tokens)
        limit = listing_flops(shape, crowd_tokens, crowd_logits, crowd_keys) / rate
        figures["crowd_limit_share"] = limit / row.raw["crowd_s"][0]
    return replace(row, figures=figures, raw=row.raw | {"limit_s": limits})


def branch_lengths(plan: ListingPlan, batches: int, tokens: float) -> list[float]:
    """The tokens of each branch where the tree has `tokens` in all.

    The questions' lengths are known; the answers' tokens are dealt evenly to the questions, since
    an engine counts tokens and not where they stand. On attention, itself a small part, that makes
    a difference of less than a hundredth.
    """
    branches = plan.branches[str(batches)]
    asked = [sum(len(plan.questions[q]) for q in branch) for branch in branches]
    answered = tokens - len(plan.trunk) - sum(asked)
    share = answered / max(1, len(plan.questions))
    return [length + share * len(b) for length, b in zip(asked, branches, strict=True)]


MODES = ("free", "constrained")
NAIVE_TIMES = {"free": 30, "constrained": 50}
PEER_TIMES = {"free": 1.6, "constrained": 2}
CROWD_TIMES = {"free": 1.1, "constrained": 1.5}
SHARES = {"limit_share": (0.6, "one listing"), "crowd_limit_share": (0.75, f"{CROWD} in flight")}
MEMORY_MB = 3000


def goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """The goals of the serving benchmark, judged on the generated listings."""
    ours = {mode: first(rows, arm=mode, batches=0, asked_dtype="auto") for mode in MODES}
    naive = best(rows_with(rows, arm="naive"), "p50_s", min)
    peer = best(rows_with(rows, arm="openvino"), "p50_s", min)
    busiest = best(rows_with(rows, arm="openvino"), "listings_per_s", max)
    made = []
    for mode, row in ours.items():
        arm = f"{mode} B=|A|"
        faster = "one listing, times faster than"
        made += [
            ratio(f"{faster} naive JSON: {arm}", NAIVE_TIMES[mode], naive, row, "p50_s"),
            ratio(f"{faster} OpenVINO's best: {arm}", PEER_TIMES[mode], peer, row, "p50_s"),
            _crowd_goal(f"times OpenVINO's best: {arm}", CROWD_TIMES[mode], row, busiest),
        ]
    free = ours["free"]
    for figure, (wanted, of) in SHARES.items():
        made.append(_goal(f"share of the arithmetic limit, {of}: free B=|A|", wanted, free, figure))
    made.append(_goal("peak memory in MB: free B=|A|", MEMORY_MB, free, "peak_memory_mb", False))
    four = first(rows, arm="free", batches=4, asked_dtype="auto")
    made.append(
        ratio("cost of B=|A| in costs of B=4: free", 1.3, free, four, "p50_s", at_least=False)
    )
    return [*made, *_adapter_goals(rows), *push_goals(rows), *host_goals(rows)]


def _adapter_goals(rows: Sequence[ArmResult]) -> list[Goal]:
    """What adapters may cost, in costs of the base."""
    wanted = []
    for decoder, called in (("openvino", "OpenVINO"), ("torch", "PyTorch")):
        one, two = (
            first(rows, arm="adapters", decoder=decoder, adapters=kind) for kind in (ONE, TWO)
        )
        wanted.append((f"one listing by a merged adapter: {called}", 1.03, one, "times_base"))
        wanted.append((f"a crowd by two adapters: {called}", 1.25, two, "crowd_times_base"))
    return [
        Goal(
            f"{name}, in costs of the base",
            most,
            row.figure(figure) if row else None,
            at_least=False,
            reason="the arm `adapters` did not run by this decoder",
        )
        for name, most, row, figure in wanted
    ]


def _goal(
    name: str, wanted: float, row: ArmResult | None, figure: str, at_least: bool = True
) -> Goal:
    measured = row.figure(figure) if row else None
    reason = "" if measured else "the arm did not run, or does not count it"
    return Goal(name, wanted, measured, at_least, reason)


def _crowd_goal(
    against: str, wanted: float, ours: ArmResult | None, peer: ArmResult | None
) -> Goal:
    name = f"listings a second with {CROWD} in flight, {against}"
    if all(row and row.settings.get("in_flight") == CROWD for row in (ours, peer)):
        return ratio(name, wanted, ours, peer, "listings_per_s")
    return Goal(name, wanted, None, reason=f"there are not both rows with {CROWD} in flight")
