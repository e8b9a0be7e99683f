"""The engine inside the real Triton: over gRPC, with several clients, pushes and a restart."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from infra.local.ports import free_port
from schemas.category import Attribute, AttributeType
from serving.adapter_file import blob_hash
from serving.engine.preparing import MAX_ATTRIBUTES
from serving.errors import (
    AdapterError,
    Busy,
    CanaryFailed,
    Cancelled,
    Refused,
    TimedOut,
    Unavailable,
    UnknownAdapter,
)
from serving.generation import GenerationRequest
from serving.triton.client import TritonClient
from serving.triton.push import Canary, CanaryRequest, ensure_adapter, push_and_try
from tests.serving.helpers import (
    BRAND,
    COLOUR,
    EVERY_KIND,
    LAMP,
    WASHABLE,
    adapter_blob,
    assert_alike,
)
from tests.waiting import LONG_S, wait_for

CANARY = Canary((CanaryRequest(LAMP, (COLOUR, WASHABLE, BRAND)),))


def notes(count):
    """Texts to be written one after the other."""
    return [Attribute(name=f"Note {n}", type=AttributeType.TEXT) for n in range(count)]


def test_an_answer_over_grpc_is_the_engines_own(client, engine):
    ours = client.generate(LAMP, EVERY_KIND, batches=3)
    here = engine.generate(GenerationRequest(LAMP, EVERY_KIND, batches=3))
    assert (ours.values, ours.invalid, ours.batches) == (here.values, here.invalid, 3)
    assert ours.confidence == pytest.approx(here.confidence, rel=1e-3)


def test_many_clients_are_each_answered_when_theirs_is_done(client):
    def ask(number):
        listing = replace(LAMP, listing_id=f"lamp-{number}", title=f"Lamp {number}")
        attributes = EVERY_KIND[: 1 + number % len(EVERY_KIND)]
        result = client.generate(listing, attributes)
        return result.confidence.keys() == {attribute.name for attribute in attributes}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(24)))


def test_32_clients_with_mixed_adapters_are_each_answered_by_the_one_they_named(client, make_blob):
    hashes = {"base": "base"}
    for number in range(3):
        name = f"mixed-r{number}-a1"
        blob = make_blob(name, seed=30 + number)
        client.push(blob, name, blob_hash(blob))
        hashes[blob_hash(blob)] = name

    def ask(number):
        listing = replace(LAMP, listing_id=f"lamp-{number % 8}")
        named = list(hashes)[number % 4]
        return number, client.generate(listing, EVERY_KIND, adapter_hash=named)

    before = client.status()
    with ThreadPoolExecutor(32) as pool:
        answers = dict(pool.map(ask, range(96)))
    passes = client.status().forward_passes - before.forward_passes
    for number, answer in answers.items():
        named = list(hashes)[number % 4]
        assert (answer.adapter_hash, answer.adapter_id) == (named, hashes[named])
        # The same listing by the same adapter, in another batch.
        assert_alike(answer, answers[number % 8])
    assert len({str(answers[number].confidence) for number in range(4)}) == 4
    assert passes < sum(answer.forward_passes for answer in answers.values()) / 2


def test_a_full_engine_answers_at_once_that_it_is_busy(triton, client):
    """Eight run, 64 wait and none is done: the next is not let in, and is once they are gone."""
    endless = notes(MAX_ATTRIBUTES)
    others = TritonClient(triton[0])

    def ask(number):
        listing = replace(LAMP, listing_id=f"slow-{number}")
        others.generate(listing, endless, batches=1, timeout_s=LONG_S)

    with ThreadPoolExecutor(72) as pool:
        try:
            asked = [pool.submit(ask, number) for number in range(8)]
            wait_for(lambda: client.status().running == 8)
            asked += [pool.submit(ask, number) for number in range(8, 72)]
            wait_for(lambda: client.status().queue == 64)
            with pytest.raises(Busy):
                client.generate(LAMP, (COLOUR,))
            assert not any(one.done() for one in asked)
        finally:
            others.close()  # nobody waits for the slow ones any more
    wait_for(lambda: client.status().queue == 0)
    assert client.generate(LAMP, (COLOUR,)).confidence


def test_an_unknown_adapter_is_healed_from_the_registrys_file(client, make_blob, tmp_path):
    blob = make_blob("healed-r1-a1")
    file = tmp_path / "adapter.safetensors"
    file.write_bytes(blob)
    with pytest.raises(UnknownAdapter):
        client.generate(LAMP, EVERY_KIND, adapter_hash=blob_hash(blob))
    for uri in (str(file), file.as_uri()):
        ensure_adapter(client, blob_hash(blob), uri)
    result = client.generate(LAMP, EVERY_KIND, adapter_hash=blob_hash(blob))
    assert (result.adapter_id, result.adapter_hash) == ("healed-r1-a1", blob_hash(blob))
    with pytest.raises(AdapterError, match="restore"):
        ensure_adapter(client, "0" * 64, str(file))
    with pytest.raises(AdapterError, match="cannot be read"):
        ensure_adapter(client, "0" * 64, str(tmp_path / "nowhere"))


def test_a_push_that_goes_well_is_reported(client, make_blob):
    blob = make_blob("good-r1-a1", seed=3)
    report = push_and_try(client, blob, "good-r1-a1", CANARY)
    assert (report.adapter_hash, report.size) == (blob_hash(blob), len(blob))
    assert 0 < report.differing <= report.answers == 3


def test_an_adapter_trained_with_frozen_weights_fails_its_canary(client, make_blob):
    with pytest.raises(CanaryFailed, match="exactly as the base"):
        push_and_try(client, make_blob("frozen-r1-a1", size=0.0), "frozen-r1-a1", CANARY)


def test_bad_bytes_are_refused_and_the_live_adapter_still_answers(client, make_blob, shapes):
    live = make_blob("live-r1-a1", seed=4)
    push_and_try(client, live, "live-r1-a1", CANARY)
    before = client.generate(LAMP, EVERY_KIND, adapter_hash=blob_hash(live))
    foreign = adapter_blob(shapes, "c" * 64, "foreign-r1-a1")
    with pytest.raises(AdapterError, match="trained on base"):
        push_and_try(client, foreign, "foreign-r1-a1", CANARY)
    with pytest.raises(AdapterError):
        client.push(live[:-8], "cut-r1-a1", blob_hash(live))
    with pytest.raises(AdapterError):
        client.push(b"", "empty-r1-a1", blob_hash(b""))
    after = client.generate(LAMP, EVERY_KIND, adapter_hash=blob_hash(live))
    assert_alike(after, before)


def test_pushes_while_requests_run_fail_none(client, make_blob):
    done = threading.Event()
    answers = []

    def ask_on():
        while not done.is_set():
            answers.append(client.generate(LAMP, EVERY_KIND))

    with ThreadPoolExecutor(3) as pool:
        askers = [pool.submit(ask_on) for _ in range(3)]
        try:
            for number in range(3):
                name = f"busy-r{number}-a1"
                push_and_try(client, make_blob(name, seed=10 + number), name, CANARY)
        finally:
            done.set()
        for asker in askers:
            asker.result(LONG_S)
    for answer in answers:
        assert_alike(answer, answers[0])


def test_who_does_not_wait_gets_a_time_out_and_the_next_is_served(client):
    with pytest.raises(TimedOut, match="ask again"):
        client.generate(LAMP, EVERY_KIND, timeout_s=0.001)
    assert client.generate(LAMP, (COLOUR,)).confidence


def test_the_engine_drops_what_nobody_waits_for(client):
    endless = notes(MAX_ATTRIBUTES)
    before = client.status().forward_passes
    with pytest.raises(TimedOut):
        client.generate(LAMP, endless, batches=1, timeout_s=0.2)
    wait_for(lambda: not client.status().running)
    passes = client.status().forward_passes - before
    assert passes < len(endless), "each answer in a branch takes a pass at least"


def test_who_gives_up_is_let_go_and_the_engine_drops_the_work(client):
    endless = notes(MAX_ATTRIBUTES)
    before = client.status().forward_passes
    give_up = Future()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.generate, LAMP, endless, batches=1, give_up=give_up)
        wait_for(lambda: client.status().running)
        give_up.set_result(None)
        with pytest.raises(Cancelled):
            asked.result(LONG_S)
    wait_for(lambda: not client.status().running)
    passes = client.status().forward_passes - before
    assert passes < len(endless), "each answer in a branch takes a pass at least"
    with pytest.raises(Cancelled):
        client.generate(LAMP, (COLOUR,), give_up=give_up)


def test_an_event_loop_asks_many_at_once_and_lets_go_those_who_give_up(client):
    async def both():
        give_up = Future()
        endless = GenerationRequest(LAMP, tuple(notes(MAX_ATTRIBUTES)), batches=1)
        hopeless = asyncio.create_task(client.ask(endless, give_up=give_up))
        answers = await asyncio.gather(*(client.ask(short) for _ in range(6)))
        give_up.set_result(None)
        with pytest.raises(Cancelled):
            await hopeless
        with pytest.raises(TimedOut, match="ask again"):
            await client.ask(endless, timeout_s=0.2)
        with pytest.raises(Refused, match="same name"):
            await client.ask(GenerationRequest(LAMP, (COLOUR, COLOUR)))
        return answers

    short = GenerationRequest(LAMP, EVERY_KIND)
    for answer in asyncio.run(both()):
        assert_alike(answer, client.generate(LAMP, EVERY_KIND))
    wait_for(lambda: not client.status().running)


def test_who_could_give_up_and_does_not_gets_the_same_answer(client):
    assert_alike(
        client.generate(LAMP, EVERY_KIND, give_up=Future()), client.generate(LAMP, EVERY_KIND)
    )


def test_a_request_that_is_wrong_is_refused_in_one_sentence(client):
    with pytest.raises(Refused, match="same name"):
        client.generate(LAMP, (COLOUR, COLOUR))


def test_nobody_there_is_said(triton):
    settings = triton[0].model_copy(update={"triton_url": f"127.0.0.1:{free_port()}"})
    with TritonClient(settings) as client, pytest.raises(Unavailable, match="does not answer"):
        client.generate(LAMP, (COLOUR,))


def test_a_restarted_triton_has_its_adapters_or_is_given_them_again(
    triton, client, make_blob, tmp_path
):
    settings, supervisor = triton
    kept, lost = make_blob("kept-r1-a1", seed=20), make_blob("lost-r1-a1", seed=21)
    for name, blob in [("kept-r1-a1", kept), ("lost-r1-a1", lost)]:
        push_and_try(client, blob, name, CANARY)
    before = client.generate(LAMP, EVERY_KIND, adapter_hash=blob_hash(kept))
    (settings.adapter_store / f"{blob_hash(lost)}.safetensors").unlink()
    supervisor.kill("triton")
    wait_for(lambda: supervisor.restarts("triton"))
    supervisor.wait_ready("triton")
    after = client.generate(LAMP, EVERY_KIND, adapter_hash=blob_hash(kept))
    assert_alike(after, before)
    with pytest.raises(UnknownAdapter):
        client.generate(LAMP, (COLOUR,), adapter_hash=blob_hash(lost))
    file = tmp_path / "lost.safetensors"
    file.write_bytes(lost)
    ensure_adapter(client, blob_hash(lost), str(file))
    assert client.generate(LAMP, (COLOUR,), adapter_hash=blob_hash(lost)).confidence
