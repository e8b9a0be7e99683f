"""Listings by the base, one adapter and two on the tiny model, and what rows and goals say."""

from pathlib import Path

import pytest
from rich.console import Console

from infra import progress
from infra.lab.bench import listings
from infra.lab.bench.results import begin
from infra.lab.bench.serving import adapters
from infra.lab.bench.serving import run as serving
from infra.lab.bench.serving.adapters import BASE, KINDS, ONE, OTHER, TWO, AdaptersJob, carry_out
from infra.lab.bench.serving.figures import adapter_rows, goals
from infra.lab.bench.serving.measuring import Measuring
from infra.lab.bench.serving.workload import Workload

WORK = {"forward_passes": 2, "tokens_computed": 10}
WORK |= {"logits_computed": None, "tokens_generated": None}


def measured(alone: dict[str, list[float]], crowd: dict[str, list[float]]) -> dict:
    return {
        "alone": {k: {"seconds": s, "works": [WORK] * len(s)} for k, s in alone.items()},
        "crowd": {
            k: {"listings": 8, "seconds": sum(s), "rounds": s, "finished": s, "work": WORK}
            for k, s in crowd.items()
        },
        "settings": {"dtype": "float32", "decoder": "torch"},
        "warm_up_s": 1.0,
        "peak_memory_mb": 100.0,
    }


def test_adapters_are_compared_with_the_base_of_the_same_listing_and_the_same_round() -> None:
    outcome = measured(
        {BASE: [1.0, 2.0, 4.0], ONE: [1.02, 2.04, 9.0]},
        {BASE: [1.0, 2.0], ONE: [1.1, 2.2], TWO: [1.2, 2.6]},
    )
    told = {"arm": "adapters", "set": "generated", "decoder": "torch"}
    base, one, two = rows = adapter_rows("adapters torch", told, outcome)
    assert [row.name for row in rows][::2] == [
        "adapters torch, the base",
        "adapters torch, two adapters",
    ]
    assert base.figure("crowd_times_base") is None
    assert one.figure("times_base") == pytest.approx(1.02)
    assert one.figure("crowd_times_base") == pytest.approx(1.1)
    assert (two.figure("p50_s"), two.figure("times_base")) == (None, None)
    assert two.figure("crowd_times_base") == pytest.approx(1.25)
    judged = {goal.name: goal.met for goal in goals(rows)}
    assert judged["one listing by a merged adapter: PyTorch, in costs of the base"] is True
    assert judged["a crowd by two adapters: PyTorch, in costs of the base"] is True
    assert judged["a crowd by two adapters: OpenVINO, in costs of the base"] is None


@pytest.mark.slow
def test_each_is_answered_by_the_adapters_that_its_kind_names(
    tiny_base: Path, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workload.json"
    workload.write(file)
    named: dict[str, list[str]] = {kind: [] for kind in (*KINDS, OTHER)}
    request = adapters.Adapted.request

    def noted(self: adapters.Adapted, plan: object, kind: str) -> object:
        made = request(self, plan, kind)  # type: ignore[arg-type]
        named[kind].append(made.adapter_hash)
        return made

    monkeypatch.setattr(adapters.Adapted, "request", noted)
    job = AdaptersJob(
        str(tiny_base), str(file), "torch", "float32", "cpu",
        listings=2, crowd=2, in_flight=2, rounds=2,
    )  # fmt: skip
    outcome = carry_out(job)
    assert [len(outcome["alone"][kind]["seconds"]) for kind in (BASE, ONE)] == [2, 2]
    assert [len(crowd["rounds"]) for crowd in outcome["crowd"].values()] == [2, 2, 2]
    assert set(named[BASE]) == {"base"}
    assert len(set(named[ONE])) == 1
    assert len(set(named[TWO])) == 2
    assert named[TWO][::2] != named[TWO][1::2]
    tokens = [[w["tokens_computed"] for w in outcome["alone"][k]["works"]] for k in (BASE, ONE)]
    assert tokens[0] == tokens[1], "an adapter that changes nothing computes what the base computes"


@pytest.mark.slow
def test_the_arm_stands_in_the_result_with_a_row_for_each_kind_and_decoder(
    tiny_base: Path, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(serving, "matrix_rates", lambda *_: {"float32": 1.0, "bfloat16": 1.0})
    measuring = Measuring(tiny_base, tmp_path, progress.bar(Console(quiet=True)), quick=True)
    measuring.add(listings.GENERATED, workload)
    (result,) = serving.measure(measuring, ("adapters",), begin("serving"))
    assert [row.not_run for row in result.rows] == [""] * 6
    told = [(row.settings["decoder"], row.settings["adapters"]) for row in result.rows]
    assert told == [(d, kind) for d in ("openvino", "torch") for kind in KINDS]
    costs = [goal for goal in result.goals if goal.name.endswith("in costs of the base")]
    assert [goal.measured is not None for goal in costs] == [True] * 4
