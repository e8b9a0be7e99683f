"""`listune chaos`: start, load, kill, drain, stop, audit, write the result."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from infra import stack
from infra.catalogs.sellers import Seller
from infra.lab.bench.publish import publish
from infra.lab.bench.results import RESULTS, begin
from infra.lab.chaos import chart
from infra.lab.chaos.audit import Audit, audit
from infra.lab.chaos.evidence import read_pool, read_topics
from infra.lab.chaos.faults import Fault
from infra.lab.chaos.kills import Executioner, Outages
from infra.lab.chaos.load import Load
from infra.lab.chaos.plan import VICTIMS, make_plan
from infra.lab.chaos.result import Shooting, fill
from infra.lab.small import small_settings
from infra.local.supervisor import Supervisor
from infra.progress import bar
from infra.settings import Settings
from infra.stage import Stage, read_stage, write_stage
from schemas.category import CategorySchemas
from streams.replay.rebuild import Replayed, replay
from streams.trials import ArmSettings, CanarySettings, ExperimentSettings

PRODUCTS = 500
"""Products that are listed again and again, under other names."""
ARMS = ExperimentSettings(
    name="chaos",
    arms=(
        ArmSettings(name="champion", share=0.6, answers="champion"),
        ArmSettings(name="base", share=0.2, answers="base"),
        ArmSettings(name="blind", share=0.1, answers="blind"),
    ),
)
"""Runs from the beginning to the end."""
CANARY = CanarySettings(share=0.5, most_sellers=8)
"""Few sellers decide, so that rounds go on: a third of a seller a second comes into one."""
ENOUGH = 100
"""So many kills, and the result is kept with the commit."""


@dataclass(frozen=True)
class ChaosPlan:
    """What is asked for. rate: new listings a second. workers: of predict."""

    kills: int = ENOUGH
    seed: int = 7
    rate: float = 1.0
    workers: int = 1

    @property
    def victims(self) -> list[str]:
        """The processes that are killed."""
        return [*VICTIMS, *(f"predict-{n}" for n in range(2, self.workers + 1))]


def run(chosen: ChaosPlan, run_dir: Path, console: Console) -> Audit:
    """The whole test; the result is written, and kept beside the benchmarks' if it is a full one.

    Raises:
        SupervisorError, ListuneError: the stack does not come up, or not again after a kill.
    """
    begun, started = begin("chaos"), time.monotonic()
    run_dir = run_dir.absolute()
    run_dir.mkdir(parents=True, exist_ok=True)
    settings = chaos_settings(run_dir, chosen.seed).changed(
        local={"predict_workers": chosen.workers}
    )
    parts = stack.ensure_parts(settings, console)
    stage = read_stage(settings, console)
    staged = write_stage(stage, settings, run_dir)
    resolved = stack.resolve(staged, run_dir, parts, console)
    with stack.running(resolved, run_dir, parts, console) as supervisor:
        shot = shoot(supervisor, resolved, stage, chosen, console)
    found = account(run_dir, stage.schemas, shot, console)
    told = {"seed": chosen.seed, "listings_per_s": chosen.rate, "workers": chosen.workers}
    minutes = (time.monotonic() - started) / 60
    filled = fill(begun, told, minutes, shot, found)
    folder = RESULTS / "chaos" if chosen.kills >= ENOUGH else run_dir
    title = f"{chosen.kills} kills, seed {chosen.seed}"
    publish([filled], folder, lambda _, path: chart.draw(shot, found, title, path), console)
    for fault in found.faults:
        console.print(f"[red]{fault.kind}[/] {fault.what}", highlight=False)
    return found


def chaos_settings(folder: Path, seed: int) -> Settings:
    """A small stack on which rounds follow each other, whatever becomes of them."""
    return small_settings(folder, seed).changed(
        streams={
            "lease_s": 30.0,
            "cool_down_s": 5.0,
            # A killed round that fails, and one that is no better, must not end the rounds: they
            # go on for as long as there is something to learn.
            "pause_after": 1_000_000,
            "max_rounds": 0,
            "experiment": ARMS,
            "canary": CANARY,
        },
        trainer={"heartbeat_s": 2.0},
        demo={"wave": PRODUCTS, "rounds": 1},
    )


def shoot(
    supervisor: Supervisor, settings: Settings, stage: Stage, chosen: ChaosPlan, console: Console
) -> Shooting:
    """All kills under load, and what was under way brought to its end."""
    plan = make_plan(chosen.kills, chosen.seed, chosen.victims)
    seller = Seller(chosen.seed, settings.demo.sellers)
    executioner = Executioner(supervisor, settings.streams)
    load = Load(settings.streams, stage.schemas, stage.products, seller, rate=chosen.rate)
    with ExitStack() as ending:
        outages = ending.enter_context(Outages(supervisor))
        shown = ending.enter_context(bar(console))
        task = shown.add_task("kills", total=len(plan))
        with load:
            for number, kill in enumerate(plan):
                last = number + 1 == len(plan)
                shown.update(task, description=f"kill {kill.number}: {kill.victim}")
                executioner.make(kill, recover=last or not plan[number + 1].during)
                shown.console.print(str(executioner.done[-1]), style="dim", highlight=False)
                shown.advance(task)
            shown.update(task, description="the last sellers are served")
        executioner.drain()
    victims = [killed.kill.victim for killed in executioner.done]
    return Shooting(
        executioner.done,
        load.stored,
        outages.of("triton"),
        {name: supervisor.restarts(name) - victims.count(name) for name in supervisor.status()},
    )


def account(run_dir: Path, schemas: CategorySchemas, shot: Shooting, console: Console) -> Audit:
    """The audit of a stack that has stopped: by the topics, and by a pool rebuilt from them."""
    with stack.broker_alone(run_dir, console) as settings, console.status("the audit"):
        topics = read_topics(settings.streams)
        pool = read_pool(settings.streams)
        rebuilt = replay(settings.streams, schemas, lambda *_: None)
    found = audit(topics, pool, shot.stored.requests, shot.stored.reviews, shot.triton_down)
    return replace(found, faults=(*found.faults, *compare(rebuilt)))


def compare(rebuilt: Replayed) -> list[Fault]:
    """A fault for each table that differs from what the topics give."""
    if rebuilt.live is None:
        return [Fault("lost", rebuilt.why_not_compared)]
    return [
        Fault("strange", f"the pool's {name} are not those that the topics give: {live.rows} rows")
        for name, live in rebuilt.live.items()
        if live != rebuilt.rebuilt[name]
    ]
