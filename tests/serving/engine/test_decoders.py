"""Which decoder serves: the faster one, or the one that is asked for, or a sentence why not."""

import importlib
import json
import logging
import re
import shutil
import sys
from errno import ENOSPC
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, GPT2Config

from serving.engine import backends, decoders, model
from serving.engine.adapter_store import AdapterStore
from serving.engine.backends import decided, make_backend
from serving.engine.decoders import choose_decoder
from serving.engine.engine import Engine
from serving.engine.model import load_base
from serving.engine.openvino import support
from serving.errors import AdapterError, ModelRefused
from serving.generation import GenerationRequest
from serving.settings import ServingSettings
from tests.serving.helpers import COLOUR, LAMP
from tests.serving.tiny_vision import make_tiny_vision_model

CPU = torch.device("cpu")


@pytest.fixture
def config(tiny_base):
    return AutoConfig.from_pretrained(tiny_base)


@pytest.fixture
def loaded(tiny_base):
    """A base of this test's own: a compiled decoder lets go of its weights."""
    return load_base(ServingSettings(dtype="float32", device="cpu"), tiny_base)


def backend_for(base, folder, wanted):
    settings = ServingSettings(decoder=wanted, adapter_store=folder)
    return make_backend(base, settings, AdapterStore(folder, 1, base.hash))


def another_activation(tiny_base, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_base, tmp_path / "relu")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    return folder, tmp_path, "the graph has no activation like ReLU"


def three_axes(tiny_base, tmp_path, monkeypatch):
    folder = make_tiny_vision_model(tmp_path / "base", "qwen3_vl")
    return folder, tmp_path, "qwen3_vl_text has positions on three axes, which the graph does not"


def no_avx2(tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    return tiny_base, tmp_path, "it needs a processor with AVX2, and this one has DEFAULT"


def another_version(tiny_base, tmp_path, monkeypatch):
    there_is(monkeypatch, "2026.5.0")
    return tiny_base, tmp_path, "OpenVINO 2026.5.0 is installed; install openvino==2026.4.1"


def unwritable(tiny_base, tmp_path, monkeypatch):
    """A folder in which nobody can make a file."""
    monkeypatch.setattr(decoders, "_measured", lambda *_: "openvino")
    why = "No such file or directory"
    return tiny_base, Path("/proc"), f"its weights cannot be written to /proc ({why}); make room"


def full_disk(tiny_base, tmp_path, monkeypatch):
    """A file can be made, and nothing written to it."""
    weights = importlib.import_module("serving.engine.openvino.weights")
    full = Path("/dev/full")
    monkeypatch.setattr(decoders, "_measured", lambda *_: "openvino")
    monkeypatch.setattr(weights, "SMALL", 0)
    monkeypatch.setattr(weights.tempfile, "TemporaryFile", lambda dir: full.open("r+b"))
    return tiny_base, tmp_path, f"cannot be written to {tmp_path} (No space left on device); make"


def there_is(monkeypatch, version):
    def found(name):
        if version is None:
            raise support.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(support, "version", found)


@pytest.mark.parametrize(("openvino_ms", "chosen"), [(9.0, "openvino"), (9.9, "torch")])
def test_auto_takes_the_faster_one_where_that_is_worth_it(
    config, monkeypatch, caplog, openvino_ms, chosen
):
    pytest.importorskip("openvino")
    monkeypatch.setattr(decoders, "pass_ms", lambda backends: [10.0, openvino_ms])
    with caplog.at_level(logging.INFO):
        assert choose_decoder("auto", config, torch.float32, CPU) == chosen
    assert f"decoder {chosen}: a pass of 50 rows through 2 layers takes PyTorch 10.0 ms" in (
        caplog.text
    )


def test_a_measurement_is_of_both(config):
    pytest.importorskip("openvino")
    assert choose_decoder("auto", config, torch.float32, CPU) in ("torch", "openvino")


def test_what_cannot_be_tried_is_left_to_pytorch(caplog):
    pytest.importorskip("openvino")
    config = GPT2Config(vocab_size=300, n_embd=64, n_layer=2, n_head=4)
    with caplog.at_level(logging.INFO):
        assert choose_decoder("auto", config, torch.float32, CPU) == "torch"
    assert "gpt2 is not built like Llama" in caplog.text


@pytest.mark.parametrize(
    ("version", "capability", "device", "reason"),
    [
        (None, "AVX2", "cpu", "OpenVINO is not installed; install openvino==2026.4.1"),
        ("2026.5.0", "AVX2", "cpu", "OpenVINO 2026.5.0 is installed; install openvino==2026.4.1"),
        ("2026.4.1", "DEFAULT", "cpu", "it needs a processor with AVX2, and this one has DEFAULT"),
        ("2026.4.1", "AVX2", "cuda", "it computes on CPUs only, and this base is on cuda"),
    ],
)
def test_without_it_auto_takes_pytorch_and_who_asks_for_it_is_told_why(
    config, monkeypatch, caplog, version, capability, device, reason
):
    there_is(monkeypatch, version)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    with caplog.at_level(logging.INFO):
        assert choose_decoder("auto", config, torch.float32, torch.device(device)) == "torch"
    assert reason in caplog.text
    with pytest.raises(ModelRefused, match=reason.split(";")[0]) as refused:
        choose_decoder("openvino", config, torch.float32, torch.device(device))
    assert str(refused.value).endswith("or set serving.decoder to auto or torch")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc and /dev/full are Linux's")
@pytest.mark.parametrize(
    "lacking",
    [another_activation, three_axes, no_avx2, another_version, unwritable, full_disk],
)
def test_an_engine_that_cannot_be_compiled_says_why_in_one_line_and_answers_by_pytorch(
    tiny_base, tmp_path, monkeypatch, caplog, lacking
):
    pytest.importorskip("openvino")
    base, store, reason = lacking(tiny_base, tmp_path, monkeypatch)
    auto = ServingSettings(dtype="float32", device="cpu", threads=1, adapter_store=store)
    with caplog.at_level(logging.INFO), Engine(auto, base) as engine:
        assert engine.decoder == "torch"
        assert engine.generate(GenerationRequest(LAMP, (COLOUR,))).confidence
    said = [r.getMessage() for r in caplog.records if "and not OpenVINO" in r.getMessage()]
    assert len(said) == 1
    assert "\n" not in said[0]
    assert reason in said[0]
    with pytest.raises(ModelRefused, match=re.escape(reason)) as refused:
        Engine(auto.model_copy(update={"decoder": "openvino"}), base)
    assert "\n" not in str(refused.value)


def test_of_a_long_story_why_it_could_not_be_tried_the_first_line_is_told():
    error = ValueError("no such model.\nIt should be one of these:\n- llama")
    assert str(decoders.untried(error)) == "it could not be tried (ValueError: no such model.)"
    assert str(decoders.untried(KeyError())) == "it could not be tried (KeyError)"


def test_a_base_that_the_graph_cannot_express_is_served_by_pytorch(tmp_path):
    pytest.importorskip("openvino")
    settings = ServingSettings(dtype="float32", device="cpu")
    base = load_base(settings, make_tiny_vision_model(tmp_path / "base", "qwen3_vl"))
    assert backend_for(base, tmp_path / "store", "auto").name == "torch"
    with pytest.raises(ModelRefused, match="positions on three axes"):
        backend_for(base, tmp_path / "store", "openvino")


def test_where_its_weights_cannot_be_written_pytorch_serves(loaded, tmp_path, monkeypatch):
    weights = pytest.importorskip("serving.engine.openvino.weights")

    def full(dir):
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(weights.tempfile, "TemporaryFile", full)
    monkeypatch.setattr(backends, "choose_decoder", lambda *_: "openvino")
    assert backend_for(loaded, tmp_path, "auto").name == "torch"
    with pytest.raises(ModelRefused, match="No space left on device"):
        backend_for(loaded, tmp_path, "openvino")


def test_compiled_the_models_projections_need_no_memory(loaded, tmp_path):
    pytest.importorskip("openvino")
    backend = backend_for(loaded, tmp_path / "store", "openvino")
    assert backend.name == "openvino"
    layers = loaded.model.get_decoder().layers
    shapes = {tuple(p.shape) for p in layers.parameters() if p.device.type == "meta"}
    assert shapes == {(64, 64), (32, 64), (128, 64), (64, 128)}
    assert not list((tmp_path / "store").iterdir()), "the file has no name"


def test_who_keeps_answers_names_the_decoder_that_auto_takes_and_takes_it_again(
    tiny_base, tmp_path, monkeypatch
):
    taken = iter(["openvino", "torch"])
    monkeypatch.setattr(backends, "choose_decoder", lambda *_: next(taken))
    settings = ServingSettings(base_model=str(tiny_base), dtype="float32", device="cpu")
    first = decided(settings, tmp_path / "decoder")
    assert first == settings.model_copy(update={"decoder": "openvino"})
    assert decided(settings, tmp_path / "decoder") == first
    assert decided(settings, tmp_path / "other").decoder == "torch"
    named = settings.model_copy(update={"decoder": "openvino"})
    assert decided(named, tmp_path / "third") is named


def test_a_decoder_that_is_gone_or_was_taken_for_another_base_is_measured_again(
    tiny_base, tmp_path, monkeypatch
):
    settings = ServingSettings(base_model=str(tiny_base), dtype="float32", device="cpu")
    kept = tmp_path / "decoder"
    monkeypatch.setattr(decoders, "_measured", lambda *_: "openvino")
    there_is(monkeypatch, support.VERSION)
    assert decided(settings, kept).decoder == "openvino"
    there_is(monkeypatch, None)
    assert decided(settings, kept).decoder == "torch", "nobody asked for it by name"
    there_is(monkeypatch, support.VERSION)
    assert decided(settings, kept).decoder == "torch", "what is taken stays taken"
    other = tmp_path / "base"
    shutil.copytree(tiny_base, other)
    assert decided(settings.model_copy(update={"base_model": str(other)}), kept).decoder == (
        "openvino"
    )


def test_who_keeps_answers_names_the_number_type_that_auto_takes_and_takes_it_again(
    tiny_base, tmp_path, monkeypatch
):
    measured = iter([torch.bfloat16, torch.float32])
    monkeypatch.setattr(model, "choose_dtype", lambda *_: next(measured))
    settings = ServingSettings(base_model=str(tiny_base), decoder="torch", device="cpu")
    first = decided(settings, tmp_path / "decoder")
    assert first == settings.model_copy(update={"dtype": "bfloat16"})
    assert decided(settings, tmp_path / "decoder") == first


@pytest.mark.parametrize("error", [RuntimeError("no memory"), ValueError("a shape")])
def test_whatever_keeps_a_base_from_being_compiled_pytorch_serves_it(
    loaded, tmp_path, monkeypatch, caplog, error
):
    compiled = pytest.importorskip("serving.engine.openvino.backend")

    def fails(*_):
        raise error

    monkeypatch.setattr(compiled.OpenVinoBackend, "_plainly", fails)
    monkeypatch.setattr(backends, "choose_decoder", lambda *_: "openvino")
    assert backend_for(loaded, tmp_path, "auto").name == "torch"
    with pytest.raises(ModelRefused, match=f"could not be tried .*{error}"):
        backend_for(loaded, tmp_path, "openvino")


def test_a_base_that_cannot_be_read_is_refused_before_it_is_measured(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelRefused, match="cannot be loaded"):
        decided(ServingSettings(base_model=str(tmp_path)), tmp_path / "decoder")


def test_a_package_that_cannot_be_imported_is_as_none(
    config, loaded, tmp_path, monkeypatch, caplog
):
    there_is(monkeypatch, support.VERSION)
    monkeypatch.setitem(sys.modules, "serving.engine.openvino.backend", None)
    with caplog.at_level(logging.INFO):
        assert choose_decoder("auto", config, torch.float32, CPU) == "torch"
    assert "it could not be tried (ModuleNotFoundError" in caplog.text
    with pytest.raises(ModelRefused, match="could not be tried"):
        backend_for(loaded, tmp_path, "openvino")


def test_who_keeps_answers_measures_with_as_many_threads_as_the_engine_has(
    tiny_base, tmp_path, monkeypatch
):
    seen = []

    def measured(*_):
        seen.append(torch.get_num_threads())
        return "torch"

    monkeypatch.setattr(backends, "choose_decoder", measured)
    settings = ServingSettings(base_model=str(tiny_base), dtype="float32", device="cpu", threads=2)
    before = torch.get_num_threads()
    try:
        decided(settings, tmp_path / "decoder")
    finally:
        torch.set_num_threads(before)
    assert seen == [2]


def test_an_adapter_store_that_cannot_be_made_is_refused_with_what_to_set(tiny_base, tmp_path):
    (tmp_path / "file").touch()
    store = tmp_path / "file" / "store"
    settings = ServingSettings(dtype="float32", device="cpu", threads=1, adapter_store=store)
    with pytest.raises(AdapterError, match=r"\(Not a directory\); set serving.adapter_store"):
        Engine(settings, tiny_base)
