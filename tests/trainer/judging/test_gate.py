"""The gate's table of cases; tests/infra/lab/bench/gate/test_gate.py asks how often it is wrong."""

import random

import pytest

from serving.settings import ServingSettings
from trainer.errors import TrainingError
from trainer.judging.evaluate import Evaluation, EvaluationKey, ListingScore
from trainer.judging.gate import ALPHA, LEAST_LISTINGS, LOOKS, Rule, alpha_of, decide
from trainer.results import Verdict

ASKED, LABELLED = 20, 12
RULE = Rule(by="net_benefit", cost_of_wrong=0.25, least_gain=0.0, margin=0.02)


def evaluation(
    right: float,
    suggested: float = 0.9,
    listings: int = 60,
    seed: int = 0,
    adapter_id: str = "x",
    valid: float = 0.9,
) -> Evaluation:
    """Listings of 20 attributes, 12 of them labelled; a share of these is suggested and right.

    Two of the same seed answer alike as far as their shares allow.
    """
    rng = random.Random(seed)
    scores = []
    for number in range(listings):
        luck = [(rng.random(), rng.random()) for _ in range(LABELLED)]
        said = sum(first < suggested for first, _ in luck)
        hits = sum(first < suggested and second < right / suggested for first, second in luck)
        scores.append(
            ListingScore(
                listing_id=f"l{number}",
                asked=ASKED,
                valid=max(said, round(valid * ASKED)),
                labelled=LABELLED,
                suggested=said,
                right=hits,
                seconds=1.0,
                values={},
                invalid={},
            )
        )
    key = EvaluationKey.of("a" * 64, "b" * 64, "c" * 64, ServingSettings())
    return Evaluation(key=key, adapter_id=adapter_id, listings=scores, seconds=1.0)


def test_what_is_surely_better_is_promoted_and_the_reason_says_by_how_much() -> None:
    decision = decide(evaluation(0.3, adapter_id="base"), evaluation(0.5, seed=1), RULE)
    assert decision.kind is Verdict.PROMOTE
    gain = decision.differences["net_benefit"]
    assert decision.reason == (
        f"net benefit {gain.value:+.3f} against base on 60 held-out listings, surely more than 0 "
        f"(lower bound {gain.lower:+.3f})"
    )
    assert decision.needed_listings is None


def test_recall_that_is_bought_by_guessing_is_promoted_only_where_it_is_worth_its_cost() -> None:
    """The demo's case: a base that says little with fair precision, a candidate that says all."""
    careful, bold = evaluation(0.12, suggested=0.25), evaluation(0.40, suggested=0.95, seed=1)
    assert decide(careful, bold, RULE).kind is Verdict.PROMOTE
    dear = Rule(by="net_benefit", cost_of_wrong=2.0, least_gain=0.0, margin=0.02)
    assert decide(careful, bold, dear).kind is Verdict.REJECT


def test_what_is_surely_worse_is_rejected() -> None:
    decision = decide(evaluation(0.5), evaluation(0.3, seed=1), RULE)
    assert decision.kind is Verdict.REJECT
    assert "surely not more than 0 (upper bound -0" in decision.reason


def test_the_parent_itself_is_rejected_since_there_is_nothing_to_wait_for() -> None:
    same = evaluation(0.5)
    assert decide(same, same, RULE).kind is Verdict.REJECT


def test_a_little_better_on_few_listings_is_a_challenger_and_the_reason_says_what_settles_it() -> (
    None
):
    decision = decide(evaluation(0.50, listings=24), evaluation(0.53, listings=24, seed=1), RULE)
    assert decision.kind is Verdict.CHALLENGER
    assert decision.needed_listings is not None
    assert decision.needed_listings > 24
    assert "perhaps not more than 0" in decision.reason
    assert f"about {decision.needed_listings:,} held-out listings would settle" in decision.reason


def test_the_listings_it_asks_for_about_settle_it() -> None:
    few = decide(evaluation(0.50, listings=40), evaluation(0.54, listings=40, seed=1), RULE)
    assert few.kind is Verdict.CHALLENGER
    many = decide(
        evaluation(0.50, listings=2000), evaluation(0.54, listings=2000, seed=1), RULE, look=2
    )
    assert many.kind is Verdict.PROMOTE


def test_each_look_asks_for_more_and_all_of_them_spend_no_more_than_alpha() -> None:
    before, after = evaluation(0.48), evaluation(0.55, seed=1)
    bounds = [decide(before, after, RULE, look=n).differences["net_benefit"] for n in range(1, 6)]
    lowers = [bound.lower for bound in bounds]
    assert lowers == sorted(lowers, reverse=True)
    assert len({bound.upper for bound in bounds}) == 1
    assert sum(alpha_of(look) for look in range(1, LOOKS + 1)) < ALPHA


def test_the_last_look_decides() -> None:
    before, after = evaluation(0.50, listings=24), evaluation(0.53, listings=24, seed=1)
    last = decide(before, after, RULE, look=LOOKS)
    assert last.kind is Verdict.REJECT
    assert last.reason.endswith(f"this was the last of {LOOKS} looks")
    assert last.needed_listings is None


def test_better_than_its_parent_but_not_than_the_best_champion_there_was() -> None:
    parent, best = evaluation(0.30), evaluation(0.60, seed=2, adapter_id="default-r1-a1")
    decision = decide(parent, evaluation(0.45, seed=1), RULE, best)
    assert decision.kind is Verdict.REJECT
    assert "surely more than 0.02 below the best former champion default-r1-a1" in decision.reason
    near = decide(parent, evaluation(0.58, seed=1), RULE, best)
    assert near.kind is Verdict.CHALLENGER
    assert "perhaps more than 0.02 below the best former champion" in near.reason
    assert near.needed_listings is not None
    better = decide(parent, evaluation(0.75, seed=1), RULE, best)
    assert better.kind is Verdict.PROMOTE
    assert better.best_id == "default-r1-a1"
    assert better.against_best is not None


def test_too_few_listings_settle_nothing() -> None:
    few = LEAST_LISTINGS - 1
    decision = decide(evaluation(0.1, listings=few), evaluation(0.9, listings=few, seed=1), RULE)
    assert decision.kind is Verdict.CHALLENGER
    assert decision.needed_listings == LEAST_LISTINGS


def test_a_gain_below_all_that_is_possible_lets_everything_pass() -> None:
    anything = Rule(by="net_benefit", cost_of_wrong=0.25, least_gain=-2.0, margin=2.0)
    few = evaluation(0.5, listings=2), evaluation(0.1, listings=2, seed=1)
    assert decide(*few, anything).kind is Verdict.PROMOTE


def test_completeness_alone_may_decide() -> None:
    by_paper = Rule(by="completeness", cost_of_wrong=0.25, least_gain=0.0, margin=0.02)
    before, fuller = evaluation(0.5, valid=0.5), evaluation(0.3, seed=1, valid=1.0)
    assert decide(before, fuller, by_paper).kind is Verdict.PROMOTE
    assert decide(before, fuller, RULE).kind is Verdict.REJECT


def test_a_candidate_that_falls_silent_is_rejected() -> None:
    assert decide(evaluation(0.5), evaluation(0.0, suggested=1e-9), RULE).kind is Verdict.REJECT


def test_the_comparison_is_paired() -> None:
    """Listings differ much, the candidate adds one right value to each: paired, that is sure."""
    before = evaluation(0.5, suggested=0.8)
    better = [
        score.model_copy(update={"suggested": score.suggested + 1, "right": score.right + 1})
        for score in before.listings
    ]
    decision = decide(before, before.model_copy(update={"listings": better}), RULE)
    assert decision.kind is Verdict.PROMOTE
    assert decision.differences["net_benefit"].error == pytest.approx(0, abs=1e-9)


def test_the_same_seed_decides_the_same() -> None:
    before, after = evaluation(0.5), evaluation(0.53, seed=1)

    def with_seed(seed: int) -> object:
        return decide(before, after, Rule("net_benefit", 0.25, 0.0, 0.02, seed=seed))

    assert with_seed(3) == with_seed(3)
    assert with_seed(3) != with_seed(4)


def test_other_listings_cannot_be_compared() -> None:
    four, five = evaluation(0.5, listings=4), evaluation(0.5, listings=5)
    with pytest.raises(TrainingError, match="different listings"):
        decide(four, five, RULE)
    with pytest.raises(TrainingError, match="different listings"):
        decide(four, four, RULE, best=five)


def of_kinds(**kinds: Evaluation) -> Evaluation:
    """One evaluation of listings of several kinds, `text_image` for both."""
    scores = [
        score.model_copy(
            update={"inputs": kind.replace("_", "+"), "listing_id": f"{kind}-{score.listing_id}"}
        )
        for kind, own in kinds.items()
        for score in own.listings
    ]
    first = next(iter(kinds.values()))
    return first.model_copy(update={"listings": scores})


def test_what_gains_on_the_whole_and_surely_harms_one_kind_of_input_is_held_back() -> None:
    before = of_kinds(text=evaluation(0.3), image=evaluation(0.5, listings=20))
    harming = of_kinds(text=evaluation(0.6, seed=1), image=evaluation(0.2, listings=20, seed=1))
    decision = decide(before, harming, RULE)
    assert decision.kind is Verdict.CHALLENGER
    assert decision.differences["net_benefit"].lower > 0
    assert {kind: found.value > 0 for kind, found in decision.by_inputs.items()} == {
        "image": False,
        "text": True,
    }
    bound = decision.by_inputs["image"].upper
    assert decision.reason.endswith(f"surely worse on image listings (upper bound {bound:+.3f})")
    assert decision.needed_listings is None
    assert decide(before, harming, RULE, look=LOOKS).kind is Verdict.REJECT


def test_a_gain_in_all_kinds_of_input_is_promoted() -> None:
    before = of_kinds(text=evaluation(0.3), text_image=evaluation(0.3, seed=2))
    after = of_kinds(text=evaluation(0.5, seed=1), text_image=evaluation(0.5, seed=3))
    decision = decide(before, after, RULE)
    assert decision.kind is Verdict.PROMOTE
    assert set(decision.by_inputs) == {"text", "text+image"}


def test_one_kind_of_input_alone_is_not_judged_twice() -> None:
    assert decide(evaluation(0.3), evaluation(0.5, seed=1), RULE).by_inputs == {}


def test_too_few_listings_of_a_kind_hold_nothing_back_and_cost_the_others_no_certainty() -> None:
    text, few = evaluation(0.3), evaluation(0.5, listings=LEAST_LISTINGS - 1)
    before = of_kinds(text=text, image=few)
    none = few.model_copy(
        update={"listings": [s.model_copy(update={"right": 0}) for s in few.listings]}
    )
    decision = decide(before, of_kinds(text=evaluation(0.6, seed=1), image=none), RULE)
    assert decision.kind is Verdict.PROMOTE
    alone = decide(text, evaluation(0.6, seed=1), RULE).differences["net_benefit"]
    assert decision.by_inputs["text"] == alone
