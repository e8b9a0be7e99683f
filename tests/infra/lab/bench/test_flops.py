"""The arithmetic of a listing, against a tree small enough to count by hand."""

import pytest

from infra.lab.bench.flops import DecoderSizes, listing_flops, visible_keys
from infra.lab.bench.serving.figures import branch_lengths, row_of, with_limit
from infra.lab.bench.serving.workload import ListingPlan, Workload

SHAPE = DecoderSizes(
    hidden=4, intermediate=6, layers=2, heads=2, key_heads=1, head_size=3, vocabulary=10
)
# A trunk of 3; questions of 2 and 4 tokens.
PLAN = ListingPlan(
    listing={}, attributes=[], trunk=[1, 2, 3], questions=[[4, 5], [6, 7, 8, 9]], caps=[5, 5],
    branches={"0": [[0], [1]], "1": [[1, 0]]}, json_prompt=[], json_tokens=0,
)  # fmt: skip


def test_a_decoders_weights_are_those_of_its_five_matrices() -> None:
    # q+k+v: (6 + 2x3) x 4, o: 4 x 6, gate, up and down: 6 x 4 each, in 2 layers.
    assert SHAPE.linear_weights == 2 * (48 + 24 + 3 * 24)


def test_a_trunk_sees_itself_and_a_branch_sees_the_trunk_and_itself() -> None:
    assert visible_keys(3, []) == 1 + 2 + 3
    assert visible_keys(3, [1]) == 6 + 4
    assert visible_keys(3, [2, 1]) == 6 + (4 + 5) + 4


def test_answers_are_dealt_to_the_branches_by_their_questions() -> None:
    # 3 of the trunk, 6 of the questions, 4 of two answers.
    assert branch_lengths(PLAN, 0, 13) == [4, 6]
    assert branch_lengths(PLAN, 1, 13) == [10]


def test_the_flops_of_a_tree_are_those_counted_by_hand() -> None:
    keys = visible_keys(3, [4, 6])  # 6, then 4 + 5 + 6 + 7, then 4 + … + 9
    assert keys == 6 + 22 + 39
    linear = 13 * 2 * 288
    head = 4 * 2 * 4 * 10
    attention = 67 * 4 * 2 * 3 * 2
    assert listing_flops(SHAPE, tokens=13, logits=4, keys=keys) == linear + head + attention


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
