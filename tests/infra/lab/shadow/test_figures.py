"""What is told of waits without shadow answers and beside them."""

import numpy as np
import pytest

from infra.lab.shadow.figures import Pair, compare, order


def pairs(factor: float, blocks: int = 6, requests: int = 400) -> list[Pair]:
    """Blocks of a machine that gets slower and slower; beside shadows all takes `factor` longer."""
    dice = np.random.default_rng(1)
    return [
        Pair(
            without=(1 + 0.1 * at) * dice.gamma(4.0, 0.01, requests),
            beside=factor * (1 + 0.1 * at) * dice.gamma(4.0, 0.01, requests),
        )
        for at in range(blocks)
    ]


def test_blocks_take_turns_so_that_a_slower_machine_touches_both_alike() -> None:
    assert order(2) == [False, True, True, False]
    assert order(3)[4:] == [False, True]


def test_waits_that_are_alike_have_a_ratio_of_one_in_the_interval() -> None:
    for compared in compare(pairs(1.0), seed=1, draws=300).values():
        assert compared.ratio.low < 1 < compared.ratio.high


def test_waits_that_are_longer_are_told_with_how_sure_that_is() -> None:
    found = compare(pairs(1.5), seed=1, draws=300)
    for compared in found.values():
        assert 1 < compared.ratio.low < compared.ratio.value < compared.ratio.high
        assert compared.without.low < compared.without.value < compared.without.high
    assert found[50].ratio.high - found[50].ratio.low < found[99].ratio.high - found[99].ratio.low


def test_a_block_without_requests_is_said() -> None:
    with pytest.raises(ValueError, match="no request"):
        compare([Pair(np.array([]), np.array([1.0]))], seed=1)
