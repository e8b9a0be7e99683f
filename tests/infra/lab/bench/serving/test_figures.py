"""From what an arm measured to its row, its arithmetic limit, and the goals."""

from dataclasses import replace

import pytest

from infra.lab.bench.flops import DecoderSizes, listing_flops
from infra.lab.bench.results import ArmResult
from infra.lab.bench.serving.figures import CROWD, branch_lengths, goals, row_of, with_limit
from infra.lab.bench.serving.workload import ListingPlan, Workload

SHAPE = DecoderSizes(
    hidden=4, intermediate=6, layers=2, heads=2, key_heads=1, head_size=3, vocabulary=10
)
# A trunk of 3; questions of 2 and 4 tokens.
PLAN = ListingPlan(
    listing={}, attributes=[], trunk=[1, 2, 3], questions=[[4, 5], [6, 7, 8, 9]], caps=[5, 5],
    branches={"0": [[0], [1]], "1": [[1, 0]]}, schema_trunk=[], names=[], json_prompt=[],
    json_tokens=0,
)  # fmt: skip


def test_every_figure_is_a_count_a_share_or_names_its_unit() -> None:
    counts = dict.fromkeys(
        ("forward_passes", "tokens_computed", "logits_computed", "tokens_generated"), 10
    )
    outcome = {
        "settings": {},
        "seconds": [1.0, 2.0, 3.0],
        "works": [counts] * 3,
        "crowd": {"listings": 32, "seconds": 16.0, "finished": [16.0], "work": counts},
        "warm_up_s": 1.0,
        "peak_memory_mb": 100.0,
    }
    row = row_of("free", {}, outcome)
    units = ("_s", "_mb", "_share", "_per_s", "_per_listing", "listings", "_passes")
    assert all(name.endswith(units) for name in row.figures)
    assert (row.figures["p50_s"], row.figures["listings_per_s"]) == (2.0, 2.0)
    assert row.raw["listing_s"] == [1.0, 2.0, 3.0]


def test_answers_are_dealt_to_the_branches_by_their_questions() -> None:
    # 3 of the trunk, 6 of the questions, 4 of two answers.
    assert branch_lengths(PLAN, 0, 13) == [4, 6]
    assert branch_lengths(PLAN, 1, 13) == [10]


def test_the_limit_is_the_flops_at_the_rate_of_the_number_type_used() -> None:
    crowd = {"forward_passes": 2, "tokens_computed": 26, "logits_computed": 8}
    crowd["tokens_generated"] = None
    outcome = {
        "settings": {"dtype": "bfloat16"},
        "seconds": [2.0],
        "works": [
            {"forward_passes": 2, "tokens_computed": 13, "logits_computed": 4,
             "tokens_generated": None}
        ],
        "crowd": {"listings": 2, "seconds": 8.0, "finished": [4.0, 8.0], "work": crowd},
        "warm_up_s": 1.0,
        "peak_memory_mb": 1.0,
    }  # fmt: skip
    row = row_of("free", {"batches": 0}, outcome)
    flops = listing_flops(SHAPE, 13, 4, 67)
    rates = {"bfloat16": flops / 1e9, "float32": 1.0}
    limited = with_limit(row, Workload(0, [], [PLAN]), SHAPE, rates)
    assert limited.figures["limit_s"] == pytest.approx(1.0)
    assert limited.figures["limit_share"] == pytest.approx(0.5)
    assert limited.figures["crowd_limit_share"] == pytest.approx(0.25)


def test_an_arm_that_does_not_count_its_logits_has_no_limit() -> None:
    row = row_of("naive", {}, {"not_run": "no reason"})
    assert with_limit(row, Workload(0, [], [PLAN]), SHAPE, {"float32": 1.0}) == row


# -------------------------------------------------------------------------------------- the goals


def arm(name: str, p50_s: float, rate: float, **settings: object) -> ArmResult:
    told = {"arm": name, "set": "generated", "in_flight": CROWD, **settings}
    return ArmResult(name, told, {"p50_s": p50_s, "listings_per_s": rate})  # type: ignore[arg-type]


OURS = [
    arm("free", 0.25, 8.0, batches=0, asked_dtype="auto"),
    arm("free", 0.20, 8.0, batches=4, asked_dtype="auto"),
    arm("constrained", 0.5, 4.0, batches=0, asked_dtype="auto"),
]
PEERS = [arm("naive", 10.0, 0.1), arm("naive", 20.0, 0.05), arm("openvino", 1.5, 2.0)]
PEERS += [arm("openvino", 3.0, 4.0)]


def test_goals_compare_with_the_best_of_each_peer() -> None:
    free, constrained, rest = [40.0, 6.0, 2.0], [20.0, 3.0, 1.0], [None, None, None, 1.25]
    judged = goals([*OURS, *PEERS])
    assert [goal.measured for goal in judged] == [*free, *constrained, *rest, *[None] * 10]
    assert [goal.met for goal in judged[:6]] == [True, True, True, False, True, False]


def test_more_memory_than_wanted_is_a_goal_missed() -> None:
    heavy = replace(OURS[0], figures=OURS[0].figures | {"peak_memory_mb": 3100.0})
    [memory] = [goal for goal in goals([heavy]) if "memory" in goal.name]
    assert (memory.measured, memory.met) == (3100.0, False)


def test_a_goal_without_its_arms_is_unmeasured_with_the_reason() -> None:
    for goal in goals(PEERS):
        assert goal.met is None
        assert goal.reason


def test_rows_of_other_listings_do_not_count_for_the_goals() -> None:
    real = arm("openvino", 0.1, 100.0, set="flipkart")
    assert goals([*OURS, *PEERS, real]) == goals([*OURS, *PEERS])
