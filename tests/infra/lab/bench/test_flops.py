"""The arithmetic of a listing, against a tree small enough to count by hand."""

from infra.lab.bench.flops import DecoderSizes, listing_flops, visible_keys

SHAPE = DecoderSizes(
    hidden=4, intermediate=6, layers=2, heads=2, key_heads=1, head_size=3, vocabulary=10
)


def test_a_decoders_weights_are_those_of_its_five_matrices() -> None:
    # q+k+v: (6 + 2x3) x 4, o: 4 x 6, gate, up and down: 6 x 4 each, in 2 layers.
    assert SHAPE.linear_weights == 2 * (48 + 24 + 3 * 24)


def test_a_trunk_sees_itself_and_a_branch_sees_the_trunk_and_itself() -> None:
    assert visible_keys(3, []) == 1 + 2 + 3
    assert visible_keys(3, [1]) == 6 + 4
    assert visible_keys(3, [2, 1]) == 6 + (4 + 5) + 4


def test_the_flops_of_a_tree_are_those_counted_by_hand() -> None:
    keys = visible_keys(3, [4, 6])  # 6, then 4 + 5 + 6 + 7, then 4 + … + 9
    assert keys == 6 + 22 + 39
    linear = 13 * 2 * 288
    head = 4 * 2 * 4 * 10
    attention = 67 * 4 * 2 * 3 * 2
    assert listing_flops(SHAPE, tokens=13, logits=4, keys=keys) == linear + head + attention
