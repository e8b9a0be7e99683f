"""A new adapter goes to a share of sellers first; their reviews say whether it goes to all."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.events import BASE_ADAPTER, ModelEvent, ModelEventKind
from schemas.experiment import CANARY_ARM, PARENT_ARM, Arm, Experiment
from streams.pool.deciding.canary import STAND_INS, canary_name
from streams.pool.deciding.sellers import Pace, in_trial
from streams.pool.trials import running_canary, running_trial
from streams.trials import utc
from tests.streams.pool.deciding.canaries import CANARY, NAME, QUICK, by_turns, proposed, tried
from tests.streams.world import SUBMITTED, World, kinds, prediction, request, review, state

K = ModelEventKind
HOUR_MS = 3_600_000


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path, **QUICK)
    yield made
    made.pool.close()


# ------------------------------------------------------------------------------------- it begins


def test_a_proposal_goes_to_a_share_of_sellers_and_not_to_all(world: World) -> None:
    adapter = proposed(world)
    [started] = world.step()
    assert isinstance(started, ModelEvent)
    assert (started.kind, started.round) == (K.EXPERIMENT_STARTED, 1)
    experiment = started.experiment
    assert experiment is not None
    assert experiment.name == CANARY
    assert experiment.shares() == pytest.approx({"parent": 0.9, "canary": 0.1})
    parent, canary = experiment.arms
    assert (experiment.control, parent.answers) == (parent, "champion")
    assert canary.answers == f"adapter:{NAME}"
    assert (canary.adapter_id, canary.adapter_hash) == (NAME, adapter)
    assert canary.adapter_uri == f"registry/{NAME}.safetensors"
    assert state(world) == "canary"
    assert world.rows("SELECT state FROM rounds") == [("canary",)]
    assert world.conductor.champion().hash == BASE_ADAPTER


def test_without_a_share_it_goes_to_all_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    proposed(world)
    assert kinds(world.step()) == [K.PROMOTED]
    world.pool.close()


def test_no_round_begins_and_no_attempt_is_made_meanwhile(tmp_path: Path) -> None:
    world = World(tmp_path, **QUICK | {"max_rounds": 0})
    tried(world)
    world.sell_many(8, "later")
    world.now_ms += 10_000_000  # no lease runs out
    assert world.step() == []
    world.train(K.FAILED)  # what a trainer said before, heard again
    world.train(K.PROPOSED)
    assert world.step() == []
    assert state(world) == "canary"
    world.pool.close()


def test_the_status_says_what_is_seen_and_what_is_waited_for(world: World) -> None:
    adapter = tried(world)
    began = world.now_ms - 1_000
    by_turns(world, adapter, 2, accepted=2)
    assert world.step() == []
    assert world.conductor.status() == (
        f"canary {NAME} 2 sellers of the canary, 4 of the parent, net benefit +0.00 [-1.25, +1.25]"
        "; decided when all of that is below 0 or above -0.05, at the latest at 60 sellers or "
        f"{utc(began + 168 * HOUR_MS)}"
    )
    for arm, number in (("canary", 2), ("parent", 4)):
        labels = {"arm": arm}
        assert REGISTRY.get_sample_value("listune_canary_sellers", labels) == number


@pytest.mark.parametrize(
    ("adapter_id", "ends"), [("mine/r1 a1", "mine-r1-a1"), ("long" * 50 + "-r1-a1", "long-r1-a1")]
)
def test_any_adapter_id_makes_a_name(adapter_id: str, ends: str) -> None:
    name = canary_name(adapter_id)
    assert name.endswith(ends)
    assert Experiment(name=name, arms=(Arm(name="parent", answers="champion"),)).is_canary
    assert len(name) <= 100


# -------------------------------------------------------------------------------------- it decides


@pytest.mark.slow
def test_a_harmful_adapter_goes_back_after_few_sellers(world: World) -> None:
    adapter = tried(world)
    shown = 0
    while not (events := world.step()):
        by_turns(world, adapter, 1, accepted=0)
        shown += 1
    [ended] = events
    assert ended.kind is K.EXPERIMENT_ENDED
    assert shown <= 20
    assert (ended.round, ended.key()) == (1, f"experiment:default:{CANARY}")
    assert ended.reason.startswith("sellers get less by it than by its parent: ")
    assert ended.details["sellers"] == shown
    assert state(world) == "rejected"
    assert world.rows("SELECT reason FROM rounds") == [(ended.reason,)]
    assert running_canary(world.pool.con) is None
    assert world.conductor.champion().hash == BASE_ADAPTER
    assert len(world.rows("FROM store.used")) == 4
    assert world.step() == []


@pytest.mark.slow
def test_one_that_surely_loses_less_than_the_margin_goes_to_all(tmp_path: Path) -> None:
    world = World(tmp_path, **QUICK | {"canary": {"share": 0.1, "margin": 0.4}})
    adapter = tried(world)
    while not (events := world.step()):
        by_turns(world, adapter, 5, accepted=2)
    [moved] = events
    assert (moved.kind, moved.round, moved.adapter_hash) == (K.PROMOTED, 1, adapter)
    assert moved.key() == "alias:champion"
    assert moved.experiment is None
    assert moved.reason.startswith("sellers get as much as by its parent: ")
    assert state(world) == "promoted"
    assert world.conductor.champion().hash == adapter
    assert running_canary(world.pool.con) is None
    world.pool.close()


def test_undecided_after_most_sellers_it_goes_to_all_as_the_gate_had_passed_it(
    world: World,
) -> None:
    adapter = tried(world)
    by_turns(world, adapter, 59, accepted=2)
    assert world.step() == []
    by_turns(world, adapter, 1, accepted=2)
    [moved] = world.step()
    assert moved.kind is K.PROMOTED
    assert moved.reason.startswith("undecided after 60 sellers: ")


@pytest.mark.parametrize("sellers", [0, 2])
def test_undecided_after_most_hours_it_ends_as_after_most_sellers(
    world: World, sellers: int
) -> None:
    by_turns(world, tried(world), sellers, accepted=2)
    world.now_ms += 167 * HOUR_MS
    assert world.step() == []
    world.now_ms += HOUR_MS
    [moved] = world.step()
    assert moved.kind is K.PROMOTED
    assert moved.reason.startswith(f"undecided after 168 hours: {sellers} sellers of the canary")


def test_an_adapter_that_answered_fewer_sellers_than_its_parent_had_to_goes_back_then(
    world: World,
) -> None:
    by_turns(world, tried(world)[::-1], 3, accepted=2)
    world.now_ms += 168 * HOUR_MS
    [ended] = world.step()
    assert ended.kind is K.EXPERIMENT_ENDED
    assert ended.reason.startswith("its parent had to answer 3 sellers in its place")


def test_without_most_hours_it_waits_for_sellers_for_ever(tmp_path: Path) -> None:
    world = World(tmp_path, **QUICK | {"canary": {"share": 0.1, "most_hours": 0}})
    tried(world)
    world.now_ms += 10_000 * HOUR_MS
    assert world.step() == []
    assert world.conductor.status().endswith("at the latest at 500 sellers")
    world.pool.close()


def test_the_status_says_what_an_experiment_leaves_to_the_canary(tmp_path: Path) -> None:
    arms = [
        {"name": "today", "share": 0.1, "answers": "champion"},
        {"name": "other", "share": 0.9, "answers": "example"},
    ]
    world = World(tmp_path, **QUICK | {"experiment": {"name": "titles", "arms": arms}})
    world.step()
    tried(world)
    world.step()
    assert "; experiment titles leaves it 10% of sellers ·" in world.conductor.status()
    world.pool.close()


def test_sellers_whom_the_parent_had_to_answer_say_nothing_of_the_adapter(world: World) -> None:
    tried(world)
    by_turns(world, BASE_ADAPTER, STAND_INS - 1, accepted=2)
    assert world.step() == []
    assert "0 sellers of the canary, 38 of the parent" in world.conductor.status()
    by_turns(world, BASE_ADAPTER, 1, accepted=2)
    [ended] = world.step()
    assert ended.kind is K.EXPERIMENT_ENDED
    assert ended.reason.startswith("its parent had to answer 20 sellers in its place")


def test_only_the_first_review_of_a_seller_counts(world: World) -> None:
    adapter = tried(world)
    events: list[Any] = []
    for n in range(50):
        for arm, hash_, accepted in ((PARENT_ARM, BASE_ADAPTER, 4), (CANARY_ARM, adapter, 0)):
            asked = request(f"{arm}-{n}", seller_id=f"always-{arm}")
            names = {"adapter_hash": hash_, "arms": {CANARY: arm}}
            answer = prediction(asked, filled=accepted, **names)
            events += [asked, answer, review(answer, shown=SUBMITTED)]
    world.feed(*events)
    world.now_ms += 1_000
    assert world.step() == []
    assert "1 sellers of the canary, 1 of the parent" in world.conductor.status()


def test_it_looks_at_most_once_a_second(world: World) -> None:
    adapter = tried(world)
    world.step()
    by_turns(world, adapter, 60, accepted=0)
    world.now_ms -= 1
    assert world.step() == []
    world.now_ms += 1
    assert kinds(world.step()) == [K.EXPERIMENT_ENDED]


def test_a_look_that_takes_long_is_made_the_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    pace, took = Pace(), iter([0.0, 0.01, 0.0, 0.5])
    monkeypatch.setattr("time.thread_time", lambda: next(took))
    with pace.looking(10_000):
        pass
    assert [pace.is_due(ms) for ms in (10_999, 11_000, 9_999)] == [False, True, True]
    with pace.looking(11_000):
        pass
    assert [pace.is_due(ms) for ms in (20_999, 21_000)] == [False, True]


def test_it_reads_the_numbers_of_the_view(world: World) -> None:
    adapter = tried(world)
    by_turns(world, adapter, 3, accepted=3)
    trial = running_trial(world.pool.con, canary=True)
    assert trial is not None
    read = in_trial(world.pool.con, CANARY, trial.started_ms, 0.25)
    assert [(*s.place, s.arm, s.adapter_hash, s.net_benefit) for s in read] == world.rows(
        'SELECT closed_ms, "offset", partition, arm, adapter_hash, '
        "(accepted - 0.25::DOUBLE * (shown - accepted)) / asked FROM arm_sellers "
        'ORDER BY closed_ms, "offset", partition'
    )


def test_what_it_is_decided_by_stays_in_a_full_pool(tmp_path: Path) -> None:
    world = World(tmp_path, **QUICK | {"pool_max_rows": 5})
    adapter = tried(world)
    by_turns(world, adapter, 4, accepted=4, parent=4)
    world.now_ms += 60_000
    world.step()
    world.now_ms += 1_000
    world.step()
    assert "4 sellers of the canary, 8 of the parent" in world.conductor.status()
    world.pool.close()


# ------------------------------------------------------------------------------------- challengers


def undecided(world: World) -> str:
    world.sell_many(4, "first")
    world.step()
    world.now_ms += 1_000
    return world.train(K.CHALLENGER)


def test_a_challenger_waits_for_held_out_listings_unless_sellers_may_decide(world: World) -> None:
    undecided(world)
    assert world.step() == []
    assert state(world) == "challenger"


@pytest.fixture
def open_to_challengers(tmp_path: Path) -> Any:
    canary = {"share": 0.5, "most_sellers": 60, "challengers": True, "watch_sellers": 0}
    made = World(tmp_path, **QUICK | {"canary": canary})
    yield made
    made.pool.close()


def test_sellers_decide_about_a_challenger(open_to_challengers: World) -> None:
    world = open_to_challengers
    adapter = undecided(world)
    [started] = world.step()
    assert (started.kind, started.adapter_hash) == (K.EXPERIMENT_STARTED, adapter)
    assert state(world) == "canary"
    world.now_ms += 1_000
    while not (events := world.step()):
        by_turns(world, adapter, 5, accepted=4, parent=0)
        assert "or above 0," in world.conductor.status()
    assert kinds(events) == [K.PROMOTED]
    assert events[0].reason.startswith("sellers get more than by its parent: ")
    assert world.conductor.champion().hash == adapter
    assert state(world) == "promoted"


def test_a_challenger_that_sellers_leave_undecided_too_goes_back(
    open_to_challengers: World,
) -> None:
    world = open_to_challengers
    adapter = undecided(world)
    world.step()
    world.now_ms += 1_000
    by_turns(world, adapter, 60, accepted=2)
    assert kinds(world.step()) == [K.EXPERIMENT_ENDED]
    assert state(world) == "rejected"
    assert world.step() == []


# ------------------------------------------------------------------------------- persons and others


def test_a_person_takes_the_canary_back(world: World) -> None:
    tried(world)
    world.say(K.ROLLBACK_REQUESTED)
    [ended] = world.step()
    assert (ended.kind, ended.reason) == (K.EXPERIMENT_ENDED, "a person asked for it")
    assert state(world) == "superseded"
    assert world.rows("FROM store.used") == []
    assert world.conductor.champion().hash == BASE_ADAPTER
    assert world.step() == []


def test_a_person_keeps_the_champion(world: World) -> None:
    tried(world)
    world.say(K.PROMOTION_REQUESTED, adapter_id=BASE_ADAPTER)
    assert kinds(world.step()) == [K.EXPERIMENT_ENDED]
    assert state(world) == "superseded"


def test_a_person_lets_it_go_to_all(world: World) -> None:
    adapter = tried(world)
    world.say(K.PROMOTION_REQUESTED, adapter_id=NAME)
    [moved] = world.step()
    assert (moved.kind, moved.adapter_hash, moved.round) == (K.PROMOTED, adapter, 1)
    assert state(world) == "promoted"
    assert running_canary(world.pool.con) is None


def test_a_person_moves_the_champion_to_a_third_adapter(world: World) -> None:
    tried(world)
    other = {"adapter_id": "older", "adapter_hash": "d" * 64, "adapter_uri": "registry/older"}
    world.say(K.PUBLISHED, **other)
    world.say(K.PROMOTION_REQUESTED, adapter_id="older")
    assert kinds(world.step()) == [K.PROMOTED]
    assert running_canary(world.pool.con) is None
    [answer] = world.step()
    assert (answer.kind, answer.key()) == (K.SUPERSEDED, "round:default:1")
    assert state(world) == "superseded"
    assert world.conductor.champion().id == "older"


def test_a_canary_whose_round_is_over_is_ended(world: World) -> None:
    tried(world)
    world.say(K.SUPERSEDED, round=1)
    [ended] = world.step()
    assert (ended.kind, ended.reason) == (K.EXPERIMENT_ENDED, "its round is over")
    assert running_canary(world.pool.con) is None
    assert state(world) == "superseded"
