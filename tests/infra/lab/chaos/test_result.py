"""The result says of each process how often it was killed and how long it took to recover."""

from collections import Counter
from pathlib import Path

from infra.lab.bench.results import begin
from infra.lab.chaos.audit import Audit
from infra.lab.chaos.chart import draw
from infra.lab.chaos.faults import Fault
from infra.lab.chaos.kills import Killed
from infra.lab.chaos.load import Stored
from infra.lab.chaos.plan import VICTIMS, Kill
from infra.lab.chaos.result import Shooting, fill

KILLED = [
    Killed(Kill(1, "kafka", during=False, delay_s=1), 60_000, recovery_s=8.0),
    Killed(Kill(2, "kafka", during=False, delay_s=1), 120_000),
    Killed(Kill(3, "predict", during=True, delay_s=1), 121_000, recovery_s=5.0),
    Killed(Kill(4, "kafka", during=False, delay_s=1), 180_000, recovery_s=4.0),
]
SHOT = Shooting(
    KILLED,
    Stored({"r1", "r2"}, {"v1"}, Counter(ok=1, expired=1)),
    [(60_000, 70_000)],
    dict.fromkeys(VICTIMS, 0) | {"predict": 2},
)
FOUND = Audit(
    faults=(Fault("lost", "request r1 was confirmed, and its topic lacks it"),),
    requests=2,
    orders=0,
    reviews=1,
    rounds=1,
    promotions=1,
    expired=1,
    expired_with_triton=0,
    answered_again=1,
    ordered_again=0,
    closed_again=0,
    waits=((60_000, 0.5), (61_000, 60.0)),
)


def test_each_process_has_its_kills_and_the_recoveries_that_were_waited_for() -> None:
    rows = {row.name: row for row in fill(begin("chaos"), {"seed": 7}, 3.0, SHOT, FOUND).rows}
    assert rows.keys() == set(VICTIMS)
    assert rows["kafka"].figures == {
        "kills": 3,
        "during_a_recovery": 0,
        "recoveries": 2,
        "median_recovery_s": 6.0,
        "max_recovery_s": 8.0,
        "deaths_of_its_own": 0,
    }
    assert rows["predict"].figures["during_a_recovery"] == 1
    assert rows["predict"].figures["deaths_of_its_own"] == 2
    assert rows["triton"].figures["median_recovery_s"] is None


def test_a_fault_too_many_expired_and_too_long_a_run_miss_their_goals() -> None:
    goals = {goal.name: goal.met for goal in fill(begin("chaos"), {}, 41.0, SHOT, FOUND).goals}
    assert goals == {
        "lost": False,
        "doubled": True,
        "unanswered": True,
        "failed": True,
        "strange": True,
        "expired outside Triton's down-time, share": False,
        "minutes in all": False,
    }


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    path = draw(SHOT, FOUND, "4 kills", tmp_path / "chaos.png")
    assert path.read_bytes().startswith(b"\x89PNG")
