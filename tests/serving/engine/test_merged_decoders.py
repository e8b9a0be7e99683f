"""Which adapters get a decoder of their own, and when it goes."""

import pytest

from serving.engine.merged_decoders import PASSES_BEFORE_MERGING, MergedDecoders
from tests.waiting import wait_for


def merged(limit=2, first=None, merge=str.upper):
    return MergedDecoders(merge, limit, first)


def ask(decoders, name):
    """As many passes of an adapter as make it worth a merge, which is waited for."""
    for _ in range(PASSES_BEFORE_MERGING + 1):
        decoders.choose({name})
    decoders.close()


def chosen(decoders, *names):
    """What there is for passes of each of these alone."""
    return [decoders.choose({name}).get(name) for name in names]


def test_an_adapter_gets_one_when_enough_passes_in_a_row_ask_for_it():
    decoders = merged()
    for _ in range(PASSES_BEFORE_MERGING):
        assert decoders.choose({"a"}) == {}
    decoders.choose({"a"})
    wait_for(lambda: decoders.choose({"a"}) == {"a": "A"})


def test_those_of_passes_of_few_adapters_get_one_each():
    decoders = merged(2)
    wait_for(lambda: decoders.choose({"a", "b"}) == {"a": "A", "b": "B"})
    assert chosen(decoders, "a", "b") == ["A", "B"]


def test_one_that_comes_and_goes_beside_another_gets_none():
    decoders = merged(2)
    for _ in range(PASSES_BEFORE_MERGING):
        decoders.choose({"a"})
        decoders.choose({"a", "b"})
    decoders.close()
    assert chosen(decoders, "a", "b") == ["A", None]


@pytest.mark.parametrize("other", [{"b"}, set(), set("abc")], ids=["another", "none", "many"])
def test_passes_of_others_or_of_too_many_begin_the_count_again(other):
    decoders = merged()
    for _ in range(3):
        for names in [*[{"a"}] * PASSES_BEFORE_MERGING, other]:
            assert decoders.choose(names) == {}


def test_what_there_is_serves_passes_of_many_too():
    decoders = merged(2)
    ask(decoders, "a")
    assert decoders.choose(set("abc")) == {"a": "A"}


def test_what_was_used_longest_ago_goes_first_whatever_it_is():
    decoders = merged(2, {"base": "BASE"})
    ask(decoders, "a")
    assert chosen(decoders, "base") == ["BASE"]
    ask(decoders, "b")
    assert chosen(decoders, "base", "a", "b") == ["BASE", None, "B"]


def test_room_is_made_before_another_one_is():
    there = []

    def merge(name):
        there.append(set(decoders._merged))
        return name

    decoders = merged(1, {"base": "BASE"}, merge)
    ask(decoders, "a")
    assert there == [set()]


def test_with_no_room_none_is_made_and_what_was_there_stays():
    decoders = merged(0, {"base": "BASE"})
    ask(decoders, "a")
    assert chosen(decoders, "a", "base") == [None, "BASE"]


def test_one_that_cannot_be_made_is_told_of_and_its_adapter_stays_beside_the_base(caplog):
    def fails(name):
        raise OSError("no room on the disk")

    decoders = merged(merge=fails)
    ask(decoders, "a" * 64)
    assert decoders.choose({"a" * 64}) == {}
    assert "adapter aaaaaaaaaaaa stays beside the base" in caplog.text
