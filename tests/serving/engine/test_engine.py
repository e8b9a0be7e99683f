"""The engine answers each request once, fails one at a time, and takes adapters while it runs."""

import ctypes
import threading
from dataclasses import replace

import psutil
import pytest

from schemas.category import Attribute, AttributeType
from schemas.events import Mode
from serving.adapter_file import blob_hash, write_adapter
from serving.engine import turns
from serving.engine.engine import Engine
from serving.engine.turns import WORTH_PARTING
from serving.errors import AdapterError, Busy, Cancelled, EngineFailed, Refused, UnknownAdapter
from serving.generation import GenerationRequest, GenerationResult
from serving.prompt import Example
from tests.serving import helpers
from tests.serving.helpers import (
    COLOUR,
    EVERY_KIND,
    LAMP,
    WASHABLE,
    adapter_blob,
    assert_alike,
    lora_tensors,
    metadata,
)
from tests.waiting import LONG_S, wait_for

REQUEST = GenerationRequest(LAMP, EVERY_KIND)


@pytest.fixture
def blob(engine, shapes):
    return adapter_blob(shapes, engine.base_hash)


def push(engine, blob, adapter_id="default-r1-a1"):
    engine.push(adapter_id, blob_hash(blob), blob)
    return blob_hash(blob)


class Gate:
    """Holds the engine's thread in the `cancelled` question of a request until opened."""

    def __init__(self, engine):
        self.reached, self.opened = threading.Event(), threading.Event()
        self.outcomes = []
        engine.submit(replace(REQUEST, cancelled=self._ask), self.outcomes.append)
        assert self.reached.wait(LONG_S)

    def _ask(self):
        self.reached.set()
        self.opened.wait(LONG_S)
        return False


class Waiting:
    """A request whose answer is waited for later."""

    def __init__(self, engine, request):
        self._done, self._outcomes = threading.Event(), []
        engine.submit(request, self._take)

    def _take(self, outcome):
        self._outcomes.append(outcome)
        self._done.set()

    def outcome(self):
        assert self._done.wait(LONG_S)
        return self._outcomes[0]


def test_a_result_names_what_produced_it(engine):
    result = engine.generate(REQUEST)
    assert (result.adapter_id, result.adapter_hash) == ("base", "base")
    assert result.batches == len(EVERY_KIND)
    assert result.confidence.keys() == {attribute.name for attribute in EVERY_KIND}
    assert all(0 <= share <= 1 for share in result.confidence.values())
    assert not result.values.keys() & result.invalid.keys()
    assert result.forward_passes > 0
    assert result.tokens_computed > 0
    assert result.seconds > 0


def test_the_same_request_has_the_same_answer(engine):
    first, second = engine.generate(REQUEST), engine.generate(REQUEST)
    assert_alike(first, second)


def test_the_number_of_batches_is_the_requests(engine):
    assert engine.generate(replace(REQUEST, batches=3)).batches == 3
    assert engine.generate(replace(REQUEST, batches=100)).batches == len(EVERY_KIND)


def test_no_attributes_give_an_empty_result(engine):
    result = engine.generate(replace(REQUEST, attributes=()))
    assert (result.values, result.confidence, result.batches) == ({}, {}, 0)


def test_an_example_changes_the_prompt(engine):
    shown = Example(LAMP, (COLOUR,), {"Colour": ["red"]})
    plain, guided = engine.generate(REQUEST), engine.generate(replace(REQUEST, example=shown))
    assert guided.tokens_computed > plain.tokens_computed
    assert guided.confidence != plain.confidence


def test_a_long_description_is_cut(engine):
    listing = replace(LAMP, description="steel " * 200_000)
    result = engine.generate(replace(REQUEST, listing=listing, attributes=(COLOUR,)))
    assert result.tokens_computed < 1200


def test_the_same_name_twice_is_refused(engine):
    with pytest.raises(Refused, match="same name"):
        engine.generate(replace(REQUEST, attributes=(COLOUR, COLOUR)))


def test_more_attributes_than_a_pass_can_bear_are_refused(engine):
    notes = tuple(Attribute(name=f"Note {n}", type=AttributeType.TEXT) for n in range(1001))
    with pytest.raises(Refused, match="at most 1000"):
        engine.generate(replace(REQUEST, attributes=notes))


def test_long_allowed_values_do_not_make_the_question_long(engine):
    values = tuple(f"{n} {'very ' * 2000}long" for n in range(5))
    attribute = Attribute(name="Kind", type=AttributeType.ENUM, values=values)
    for mode in Mode:
        result = engine.generate(replace(REQUEST, attributes=(attribute,), mode=mode))
        assert result.tokens_computed < 200


def test_an_unknown_adapter_is_said_at_once(engine):
    with pytest.raises(UnknownAdapter, match="push it"):
        engine.submit(replace(REQUEST, adapter_hash="0" * 64), pytest.fail)


def test_a_pushed_adapter_answers_unlike_the_base_and_under_its_name(engine, blob):
    adapter_hash = push(engine, blob)
    result = engine.generate(replace(REQUEST, adapter_hash=adapter_hash))
    assert (result.adapter_id, result.adapter_hash) == ("default-r1-a1", adapter_hash)
    assert result.confidence != engine.generate(REQUEST).confidence
    assert [(entry.id, entry.hash) for entry in engine.adapters()] == [
        ("default-r1-a1", adapter_hash)
    ]


def test_a_push_while_a_request_runs_leaves_it_alone(engine, blob):
    expected = engine.generate(REQUEST)
    gate = Gate(engine)
    adapter_hash = push(engine, blob)
    gate.opened.set()
    engine.generate(replace(REQUEST, adapter_hash=adapter_hash))
    assert_alike(gate.outcomes[0], expected)


def test_the_same_push_again_is_nothing_new_but_an_id_is_not_reused(engine, shapes, blob):
    adapter_hash = push(engine, blob)
    push(engine, blob)
    with pytest.raises(AdapterError, match="never reused"):
        push(engine, adapter_blob(shapes, engine.base_hash, seed=5))
    assert [entry.hash for entry in engine.adapters()] == [adapter_hash]


def test_a_bad_push_is_refused_and_the_live_adapter_still_answers(engine, shapes, blob):
    adapter_hash = push(engine, blob)
    before = engine.generate(replace(REQUEST, adapter_hash=adapter_hash))
    for adapter_id, announced, content in [
        ("other", blob_hash(blob), blob),
        ("default-r1-a1", "0" * 64, blob),
        ("cut", blob_hash(blob[:-8]), blob[:-8]),
        ("foreign", *(lambda b: (blob_hash(b), b))(adapter_blob(shapes, "c" * 64, "foreign"))),
    ]:
        with pytest.raises(AdapterError):
            engine.push(adapter_id, announced, content)
    after = engine.generate(replace(REQUEST, adapter_hash=adapter_hash))
    assert_alike(after, before)
    assert len(engine.adapters()) == 1


def test_adapters_survive_a_restart(settings, tiny_base, shapes):
    with Engine(settings, tiny_base) as engine:
        adapter_hash = push(engine, adapter_blob(shapes, engine.base_hash))
        before = engine.generate(replace(REQUEST, adapter_hash=adapter_hash))
    with Engine(settings, tiny_base) as engine:
        after = engine.generate(replace(REQUEST, adapter_hash=adapter_hash))
    assert_alike(after, before)


def test_an_adapter_with_waiting_requests_is_never_evicted(settings, tiny_base, shapes):
    with Engine(settings.model_copy(update={"max_adapters": 1}), tiny_base) as engine:
        first = push(engine, adapter_blob(shapes, engine.base_hash, "a1", seed=1), "a1")
        gate = Gate(engine)
        waiting = Waiting(engine, replace(REQUEST, adapter_hash=first))
        second = push(engine, adapter_blob(shapes, engine.base_hash, "a2", seed=2), "a2")
        gate.opened.set()
        engine.generate(replace(REQUEST, adapter_hash=second))
        assert waiting.outcome().adapter_hash == first
        push(engine, adapter_blob(shapes, engine.base_hash, "a3", seed=3), "a3")
        assert first not in {entry.hash for entry in engine.adapters()}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no glibc")
def test_push_after_push_the_engine_grows_no_more_once_its_store_is_full(
    settings, tiny_base, shapes, monkeypatch
):
    monkeypatch.setattr(helpers, "RANK", 4096)  # so that an adapter is 14 MB
    resident = []
    with Engine(settings.model_copy(update={"max_adapters": 2}), tiny_base) as engine:
        for number in range(12):
            name = f"large-r{number}-a1"
            push(engine, adapter_blob(shapes, engine.base_hash, name, seed=number), name)
            resident.append(psutil.Process().memory_info().rss / 1e6)
    # What glibc kept was 58 MB with PyTorch's decoder, 109 with OpenVINO's.
    assert max(resident[2:]) - resident[1] < 35


def test_a_full_queue_is_said_at_once(settings, tiny_base):
    with Engine(settings.model_copy(update={"max_queue": 2}), tiny_base) as engine:
        gate = Gate(engine)
        answered = threading.Semaphore(0)
        engine.submit(REQUEST, lambda _: answered.release())
        engine.submit(REQUEST, lambda _: answered.release())
        assert (engine.status().queue, engine.status().running) == (2, 1)
        with pytest.raises(Busy, match="later"):
            engine.submit(REQUEST, pytest.fail)
        gate.opened.set()
        assert answered.acquire(timeout=LONG_S)
        assert answered.acquire(timeout=LONG_S)


def test_requests_of_many_threads_are_each_answered_once(engine):
    answers = {}

    def ask(number):
        listing = replace(LAMP, listing_id=f"lamp-{number}", title=f"Lamp {number}")
        attributes = (COLOUR, WASHABLE)[: 1 + number % 2]
        answers[number] = engine.generate(
            GenerationRequest(listing, attributes, mode=list(Mode)[number % 2])
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert {number: len(result.confidence) for number, result in answers.items()} == {
        number: 1 + number % 2 for number in range(8)
    }


def test_adapters_mix_in_one_batch_and_each_answers_as_it_does_alone(engine, shapes):
    hashes = ["base"]
    for number in range(3):
        blob = adapter_blob(shapes, engine.base_hash, f"a{number}", seed=number)
        hashes.append(push(engine, blob, f"a{number}"))
    requests = [
        replace(
            REQUEST,
            listing=replace(LAMP, listing_id=f"lamp-{number}", title=f"Lamp {number}"),
            adapter_hash=hashes[number % len(hashes)],
            mode=list(Mode)[number % 2],
        )
        for number in range(12)
    ]
    alone = [engine.generate(request) for request in requests]
    passes = engine.status().forward_passes
    together = [waiting.outcome() for waiting in [Waiting(engine, r) for r in requests]]
    assert engine.status().forward_passes - passes < passes, "they share passes"
    for request, ours, theirs in zip(requests, together, alone, strict=True):
        assert ours.adapter_hash == request.adapter_hash
        assert_alike(ours, theirs)


def test_an_adapter_that_all_ask_for_is_merged_in_the_background(engine, blob):
    request = replace(REQUEST, adapter_hash=push(engine, blob))
    before = engine.generate(request)
    merged = engine._backend.merged
    wait_for(lambda: engine.generate(request) and merged.choose({request.adapter_hash}))
    assert_alike(engine.generate(request), before)


@pytest.mark.slow
def test_who_is_done_leaves_and_who_waits_enters(settings, tiny_base):
    with Engine(settings.model_copy(update={"max_running": 2}), tiny_base) as engine:
        finished = []
        notes = tuple(Attribute(name=f"Note {n}", type=AttributeType.TEXT) for n in range(60))
        asked = {"long": notes, "short": (COLOUR,), "next": (WASHABLE,)}
        done = threading.Semaphore(0)
        for name, attributes in asked.items():

            def take(outcome, name=name):
                assert isinstance(outcome, GenerationResult)
                finished.append(name)
                done.release()

            engine.submit(replace(REQUEST, attributes=attributes, batches=1), take)
        for _ in asked:
            assert done.acquire(timeout=LONG_S)
    assert finished == ["short", "next", "long"]


def test_what_makes_a_pass_fail_fails_alone(engine, monkeypatch):
    poison = replace(REQUEST, listing=replace(LAMP, listing_id="poison", title="poison " * 9))
    length = len(engine._preparer.prepare(poison, None).tree.trunk)
    real = turns.begin

    def failing(backend, trees):
        if any(len(tree.trunk) == length for tree in trees):
            raise RuntimeError("out of luck")
        return real(backend, trees)

    expected = engine.generate(REQUEST)
    monkeypatch.setattr(turns, "begin", failing)
    gate = Gate(engine)
    waiting = [Waiting(engine, request) for request in (REQUEST, poison, REQUEST)]
    gate.opened.set()
    good, bad, also_good = (each.outcome() for each in waiting)
    assert isinstance(bad, EngineFailed)
    assert_alike(good, expected)
    assert_alike(also_good, expected)


def test_where_passes_overlap_all_are_answered_as_alone_and_whoever_leaves_harms_nobody(engine):
    engine._backend.overlaps = True
    engine._max_running = 24
    left = threading.Event()
    expected = engine.generate(REQUEST)
    gate = Gate(engine)
    waiting = [Waiting(engine, REQUEST) for _ in range(2 * WORTH_PARTING)]
    leaving = Waiting(engine, replace(REQUEST, cancelled=left.is_set))
    gate.opened.set()
    wait_for(lambda: engine.status().running > WORTH_PARTING)
    left.set()
    for each in waiting:
        assert_alike(each.outcome(), expected)
    assert isinstance(leaving.outcome(), Cancelled | GenerationResult)
    assert_alike(engine.generate(REQUEST), expected)


def test_an_adapter_for_what_is_not_served_is_refused(engine, shapes):
    head = {"lm_head": shapes["lm_head"]}
    blob = write_adapter(
        lora_tensors(head, modules=("lm_head",)), metadata(engine.base_hash, "head-r1-a1")
    )
    with pytest.raises(AdapterError, match="no layer's projection"):
        push(engine, blob, "head-r1-a1")
    assert engine.adapters() == ()


def test_a_cancelled_request_ends_and_the_next_is_served(engine):
    with pytest.raises(Cancelled):
        engine.generate(replace(REQUEST, cancelled=lambda: True))
    assert isinstance(engine.generate(REQUEST), GenerationResult)


def test_a_fault_in_one_request_fails_that_request_only(engine):
    def fault():
        raise RuntimeError("a fault")

    with pytest.raises(EngineFailed, match="a fault"):
        engine.generate(replace(REQUEST, cancelled=fault))
    engine.submit(REQUEST, lambda outcome: fault())
    assert isinstance(engine.generate(REQUEST), GenerationResult)


def test_closing_tells_all_who_wait_to_ask_again_later(settings, tiny_base):
    engine = Engine(settings, tiny_base)
    gate = Gate(engine)
    outcomes = []
    engine.submit(REQUEST, outcomes.append)
    closer = threading.Thread(target=engine.close)
    closer.start()
    wait_for(lambda: engine._closing)  # and for the gate
    with pytest.raises(Busy, match="when it is back"):
        engine.submit(REQUEST, pytest.fail)
    gate.opened.set()
    closer.join(LONG_S)
    assert isinstance(gate.outcomes[0], Busy)
    assert isinstance(outcomes[0], Busy)


def test_free_mode_says_what_was_invalid(engine):
    number = Attribute(name="Size", type=AttributeType.NUMBER, units=("mm",))
    result = engine.generate(replace(REQUEST, attributes=(number, COLOUR), mode=Mode.FREE))
    assert result.invalid, "a random model hardly hits a legal value"
    assert all(text == text.strip() for text in result.invalid.values())
    assert set(result.cut) <= result.invalid.keys()
    text = Attribute(name="Note", type=AttributeType.TEXT)
    rambling = engine.generate(replace(REQUEST, attributes=(text,), mode=Mode.FREE))
    assert rambling.cut == ("Note",), "a random model does not know when to stop"
