"""An engine with an encoder: an adapter that sees answers from pictures, all others from text."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from serving.adapter_file import blob_hash, read_adapter, write_adapter
from serving.engine import merged_decoders
from serving.engine.adapter_store import AdapterStore
from serving.engine.engine import Engine
from serving.engine.eyes.encoder import load_encoder
from serving.engine.eyes.encoder_eyes import EncoderEyes
from serving.engine.eyes.projector import fresh
from serving.errors import AdapterError, Refused
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.projector import EYES, Sight
from serving.settings import ServingSettings
from tests.serving.drawn import plain
from tests.serving.helpers import (
    EVERY_KIND,
    LAMP,
    adapter_blob,
    assert_alike,
    lora_tensors,
    metadata,
)
from tests.waiting import wait_for

CPU = torch.device("cpu")
RED, BLUE = plain("red").data, plain("blue").data
PICTURED = GenerationRequest(Listing("lamp-1", "Lamps", ""), EVERY_KIND, pictures=(RED,))


def settings_for(
    base: Path, encoder: Path | str, store: Path, max_merged: int = 0
) -> ServingSettings:
    return ServingSettings(
        base_model=str(base),
        dtype="float32",
        decoder="torch",
        device="cpu",
        threads=1,
        encoder=str(encoder),
        adapter_store=store,
        max_merged=max_merged,
    )


@pytest.fixture(scope="module")
def engine(tiny_base, tiny_encoder, tmp_path_factory) -> Iterator[Engine]:
    store = tmp_path_factory.mktemp("store")
    with Engine(settings_for(tiny_base, tiny_encoder, store), tiny_base) as engine:
        yield engine


def seeing_blob(shapes, base_hash: str, encoder: Path, adapter_id: str = "seeing") -> bytes:
    """An adapter whose picture rows are large enough to be noticed."""
    sight = EncoderEyes(load_encoder(encoder, CPU), hidden=64).sight
    projector = fresh(sight, torch.full((1, 64), 3.0), seed=0)
    rows = {f"projector.{name}": tensor for name, tensor in projector.tensors().items()}
    header = metadata(base_hash, adapter_id, **{EYES: sight.model_dump_json()})
    return write_adapter(lora_tensors(shapes) | rows, header)


@pytest.fixture(scope="module")
def seeing(engine, shapes, tiny_encoder) -> str:
    """The hash of an adapter that sees, here."""
    blob = seeing_blob(shapes, engine.base_hash, tiny_encoder)
    engine.push("seeing", blob_hash(blob), blob)
    return blob_hash(blob)


def test_an_adapter_that_sees_answers_by_the_picture(engine, seeing):
    red = engine.generate(replace(PICTURED, adapter_hash=seeing))
    again = engine.generate(replace(PICTURED, adapter_hash=seeing))
    blue = engine.generate(replace(PICTURED, adapter_hash=seeing, pictures=(BLUE,)))
    both = engine.generate(replace(PICTURED, adapter_hash=seeing, pictures=(RED, BLUE)))
    assert red.confidence == again.confidence
    assert len({str(result.confidence) for result in (red, blue, both)}) == 3
    assert [result.pictures for result in (red, blue, both)] == [1, 1, 2]
    assert not red.notes


def test_the_base_and_an_adapter_that_does_not_see_answer_from_the_text(engine, shapes):
    blob = adapter_blob(shapes, engine.base_hash, "blind", seed=5)
    engine.push("blind", blob_hash(blob), blob)
    for adapter_hash in ("base", blob_hash(blob)):
        for listing in (LAMP, PICTURED.listing):
            request = replace(PICTURED, adapter_hash=adapter_hash, listing=listing)
            seen, unseen = engine.generate(request), engine.generate(replace(request, pictures=()))
            assert seen.confidence == unseen.confidence
            assert (seen.pictures, unseen.notes) == (0, ())
            assert "has not learnt to see" in seen.notes[0]


def test_an_adapter_that_sees_answers_a_listing_without_pictures_too(engine, seeing):
    result = engine.generate(GenerationRequest(LAMP, EVERY_KIND, adapter_hash=seeing))
    assert (result.pictures, result.notes) == (0, ())


def test_what_is_no_picture_fails_its_own_request_alone(engine, seeing):
    with pytest.raises(Refused, match="send it as a JPEG file"):
        engine.generate(replace(PICTURED, adapter_hash=seeing, pictures=(b"no picture",)))
    assert engine.generate(replace(PICTURED, adapter_hash=seeing)).pictures == 1


def test_an_engine_without_the_encoder_refuses_an_adapter_that_sees(
    engine, seeing, tiny_base, tiny_encoder, shapes, tmp_path
):
    with Engine(settings_for(tiny_base, "", tmp_path), tiny_base) as without:
        blob = seeing_blob(shapes, without.base_hash, tiny_encoder)
        with pytest.raises(AdapterError, match=r"through the encoder tiny .* here is none; set"):
            without.push("seeing", blob_hash(blob), blob)
        assert without.adapters() == ()
        noted = without.generate(PICTURED)
        assert "has no eyes" in noted.notes[0]


def test_a_restart_takes_up_the_adapters_of_its_own_encoder_only(
    engine, seeing, tiny_base, tiny_encoder, shapes, tmp_path
):
    store = AdapterStore(tmp_path, 4, engine.base_hash)
    blob = seeing_blob(shapes, engine.base_hash, tiny_encoder)
    store.put(read_adapter(blob))
    here = read_adapter(blob).sight
    other = Sight(**{**here.model_dump(), "encoder_hash": "f" * 64})
    assert AdapterStore(tmp_path, 4, engine.base_hash, here).ids() == {blob_hash(blob): "seeing"}
    assert AdapterStore(tmp_path, 4, engine.base_hash, other).ids() == {}
    assert AdapterStore(tmp_path, 4, engine.base_hash).ids() == {}
    with Engine(settings_for(tiny_base, tiny_encoder, tmp_path), tiny_base) as again:
        ours = again.generate(replace(PICTURED, adapter_hash=blob_hash(blob)))
    assert ours.confidence == engine.generate(replace(PICTURED, adapter_hash=seeing)).confidence


def test_a_merged_adapter_sees_what_it_saw_beside_the_base(
    engine, seeing, tiny_base, tiny_encoder, shapes, tmp_path, monkeypatch
):
    monkeypatch.setattr(merged_decoders, "PASSES_BEFORE_MERGING", 1)
    beside = engine.generate(replace(PICTURED, adapter_hash=seeing))
    with Engine(settings_for(tiny_base, tiny_encoder, tmp_path, 1), tiny_base) as merging:
        merging.push("seeing", seeing, seeing_blob(shapes, engine.base_hash, tiny_encoder))
        request = replace(PICTURED, adapter_hash=seeing)
        merging.generate(request)
        wait_for(lambda: seeing in merging._backend.merged._merged)
        assert_alike(merging.generate(request), beside)
