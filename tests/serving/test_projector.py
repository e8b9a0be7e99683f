"""An adapter that sees: its projector travels in its file, is checked, and is told apart."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from serving.adapter_file import (
    AdapterFile,
    check_adapter,
    read_adapter,
    to_peft_folder,
    write_adapter,
)
from serving.errors import AdapterError
from serving.projector import Sight
from tests.serving.helpers import lora_tensors, metadata

BASE = "b" * 64
EYES = Sight(encoder="tiny", encoder_hash="e" * 64, features=16, rows=4, hidden=64)


def weights(sight: Sight = EYES, seed: int = 0) -> dict[str, torch.Tensor]:
    """A projector's tensors as they are named in a file."""
    dice = torch.Generator().manual_seed(seed)
    return {f"projector.{n}": torch.randn(s, generator=dice) for n, s in sight.shapes.items()}


def seeing(shapes, projector=None, eyes: str | None = EYES.model_dump_json()) -> AdapterFile:
    tensors = lora_tensors(shapes) | (weights() if projector is None else projector)
    entries = metadata(BASE) | ({} if eyes is None else {"eyes": eyes})
    return read_adapter(write_adapter(tensors, entries))


def test_a_projector_is_read_as_it_was_written_and_is_no_pair_of_lora(shapes):
    adapter = seeing(shapes)
    assert adapter.sight == EYES
    read = adapter.projector()
    assert {f"projector.{name}" for name in read} == weights().keys()
    assert all(torch.equal(read[n.removeprefix("projector.")], t) for n, t in weights().items())
    blind = read_adapter(write_adapter(lora_tensors(shapes), metadata(BASE)))
    assert adapter.pairs().keys() == blind.pairs().keys()
    assert (blind.sight, blind.projector()) == (None, {})


def test_another_projector_is_another_adapter(shapes):
    assert seeing(shapes).hash == seeing(shapes).hash
    assert seeing(shapes).hash != seeing(shapes, weights(seed=1)).hash


def test_an_adapter_that_sees_fits_where_its_encoder_is(shapes):
    check_adapter(seeing(shapes), shapes, BASE, EYES)


def test_an_adapter_that_does_not_see_fits_with_and_without_an_encoder(shapes):
    blind = read_adapter(write_adapter(lora_tensors(shapes), metadata(BASE)))
    check_adapter(blind, shapes, BASE)
    check_adapter(blind, shapes, BASE, EYES)


@pytest.mark.parametrize(
    ("here", "told"),
    [
        (None, "here is none"),
        (EYES.model_copy(update={"encoder_hash": "f" * 64}), "here is tiny .ffffffffffff"),
        (EYES.model_copy(update={"rows": 9}), "9 x 16 into 64"),
        (EYES.model_copy(update={"hidden": 32}), "4 x 16 into 32"),
    ],
)
def test_an_adapter_of_another_encoder_is_refused_in_a_sentence(shapes, here, told):
    message = f"sees through the encoder tiny .*{told}.*; set serving.encoder to the folder"
    with pytest.raises(AdapterError, match=message):
        check_adapter(seeing(shapes), shapes, BASE, here)


def without(name: str) -> dict[str, torch.Tensor]:
    return {n: t for n, t in weights().items() if n != f"projector.{name}"}


@pytest.mark.parametrize(
    ("projector", "told"),
    [
        ({}, "not of the sizes"),
        (without("scale"), "not of the sizes"),
        (weights() | {"projector.more": torch.zeros(1)}, "not of the sizes"),
        (weights() | {"projector.places": torch.zeros(64, 4)}, "not of the sizes"),
        (weights() | {"projector.scale": torch.tensor(float("nan"))}, "'scale' is not made of"),
        (weights() | {"projector.scale": torch.tensor(1)}, "'scale' is not made of"),
    ],
)
def test_a_projector_that_cannot_be_served_is_refused(shapes, projector, told):
    with pytest.raises(AdapterError, match=told):
        check_adapter(seeing(shapes, projector), shapes, BASE, EYES)


def test_a_projector_without_a_word_on_its_encoder_is_refused(shapes):
    with pytest.raises(AdapterError, match="does not say of which encoder"):
        check_adapter(seeing(shapes, eyes=None), shapes, BASE, EYES)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", EYES.model_dump_json()[:-1], json.dumps(EYES.model_dump() | {"rows": 0})],
)
def test_a_header_entry_that_cannot_be_read_is_refused(shapes, text):
    with pytest.raises(AdapterError, match="says of its eyes cannot be read"):
        seeing(shapes, eyes=text)


def test_plain_peft_loads_what_is_loras_and_the_projector_lies_beside(shapes, tiny_base, tmp_path):
    adapter = seeing(shapes)
    to_peft_folder(adapter.blob, tmp_path / "peft")
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    loaded = PeftModel.from_pretrained(model, tmp_path / "peft")
    name, (_, b) = next(iter(adapter.pairs().items()))
    got = loaded.base_model.model.get_submodule(name).lora_B["default"].weight
    assert torch.equal(got, b)
    beside = load_file(Path(tmp_path / "peft" / "projector.safetensors"))
    assert beside.keys() == adapter.projector().keys()
