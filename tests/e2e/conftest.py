"""The real stack, once for a file's tests: real broker, real Triton, a tiny real model.

The tiny model is randomly initialised: it knows nothing, and can learn by heart. The tests look at
what the loop does, not at how good the model gets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from infra import stack
from infra.catalogs.catalog import Product
from infra.demo import play
from infra.lab.small import small_settings
from infra.local.fetch import ensure_all
from infra.local.supervisor import Supervisor
from infra.settings import Settings
from infra.stage import Stage, read_stage, write_stage

SEED = 3


def tiny_settings(folder: Path) -> Settings:
    """The small settings, and a wave of listings that fills one round."""
    return small_settings(folder, SEED).changed(
        # Half of a wave is held out; the rest fills the round.
        streams={"lease_s": 60.0, "heldout_share": 0.5, "heldout_least": 6},
        demo={"wave": 16, "final_wave": 2, "in_flight": 4, "stall_minutes": 3.0},
        # Enough for other answers than the base's.
        trainer={"steps": 10, "bootstrap_draws": 200},
    )


@dataclass
class Loop:
    """A stack that is up, and what was played through it."""

    settings: Settings
    run_dir: Path
    stage: Stage
    play: play.Play
    supervisor: Supervisor

    @property
    def unseen(self) -> list[Product]:
        """Products that did not arrive."""
        return [p for p in self.stage.products if p.product_id not in self.play.submitted]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """One full round, played as the demo plays it; the stack is still up afterwards."""
    run_dir = tmp_path_factory.mktemp("stack")
    console = Console(force_terminal=False)
    settings = tiny_settings(run_dir).changed(demo={"rounds": 1})
    parts = ensure_all(settings.local, console)
    stage = read_stage(settings, console)
    # One round is played; that another may come is why listings are measured again after it.
    settings = write_stage(stage, settings, run_dir).changed(streams={"max_rounds": 2})
    resolved = stack.resolve(settings, run_dir, parts, console)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "ACTIVE", run_dir / "active")
        with stack.running(resolved, run_dir, parts, console) as supervisor:
            player = play.Play(resolved, stage, console, supervisor.check)
            player.run()
            yield Loop(resolved, run_dir, stage, player, supervisor)
