"""The adapter file is written, checked and kept as its contract says."""

import pytest
import torch

from serving.adapter_file import (
    blob_hash,
    check_adapter,
    read_adapter,
    to_peft_folder,
    write_adapter,
)
from serving.engine.adapter_store import AdapterStore
from serving.errors import AdapterError, UnknownAdapter
from tests.serving.helpers import adapter_blob, lora_tensors, metadata

BASE = "b" * 64


@pytest.fixture
def blob(shapes):
    return adapter_blob(shapes, BASE)


def test_what_was_written_is_read(shapes):
    tensors = lora_tensors(shapes)
    adapter = read_adapter(write_adapter(tensors, metadata(BASE, alpha=8)))
    assert (adapter.id, adapter.rank, adapter.alpha, adapter.scale) == ("default-r1-a1", 4, 8, 2)
    assert adapter.hash == blob_hash(adapter.blob)
    read = adapter.tensors()
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_equal_content_has_equal_bytes(shapes):
    tensors = lora_tensors(shapes)
    entries = metadata(BASE)
    backwards = dict(reversed(tensors.items())), dict(reversed(entries.items()))
    assert write_adapter(tensors, entries) == write_adapter(*backwards)


@pytest.mark.parametrize("key", ["adapter_id", "base_hash", "rank", "peft_config"])
def test_a_header_without_an_entry_is_refused(shapes, key):
    entries = metadata(BASE)
    del entries[key]
    with pytest.raises(AdapterError, match=key):
        write_adapter(lora_tensors(shapes), entries)


@pytest.mark.parametrize(
    "change",
    [
        {"rank": "many"},
        {"rank": 0},
        {"adapter_id": "base"},
        {"peft_config": "{"},
        {"peft_config": '{"use_dora": true}'},
        {"peft_config": '{"bias": "all"}'},
    ],
)
def test_a_header_that_cannot_be_served_is_refused(shapes, change):
    with pytest.raises(AdapterError):
        write_adapter(lora_tensors(shapes), metadata(BASE, **change))


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: b"",
        lambda blob: b"not an adapter at all",
        lambda blob: blob[:-1],
        lambda blob: blob + b"\0",
        lambda blob: b"\xff" * 8 + blob[8:],
        lambda blob: blob[:8] + b"[" + blob[9:],
    ],
)
def test_damaged_bytes_are_no_adapter(blob, damage):
    with pytest.raises(AdapterError):
        read_adapter(damage(blob))


def test_an_adapter_that_fits_passes(shapes, blob):
    check_adapter(read_adapter(blob), shapes, BASE)


def test_an_adapter_of_another_base_is_refused(shapes, blob):
    with pytest.raises(AdapterError, match="trained on base"):
        check_adapter(read_adapter(blob), shapes, "c" * 64)


def changed(shapes, change):
    tensors = lora_tensors(shapes)
    change(tensors, next(name for name in tensors if "lora_A" in name))
    return read_adapter(write_adapter(tensors, metadata(BASE)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, name: t.update({name: t[name][:, :-1]}), "wanted"),
        (lambda t, name: t.update({name: t[name] * float("nan")}), "not finite"),
        (lambda t, name: t.update({name: t[name].to(torch.int32)}), "floating-point"),
        (lambda t, name: t.pop(name), "no pair"),
        (lambda t, name: t.update({"other.weight": t[name].clone()}), "no pair"),
        (lambda t, name: t.clear(), "no tensors"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(shapes, change, message):
    with pytest.raises(AdapterError, match=message):
        check_adapter(changed(shapes, change), shapes, BASE)


def test_an_unknown_module_is_refused(shapes, blob):
    fewer = {name: shape for name, shape in shapes.items() if "layers.0" not in name}
    with pytest.raises(AdapterError, match="no linear module"):
        check_adapter(read_adapter(blob), fewer, BASE)


def test_the_peft_folder_has_the_bytes_and_the_configuration(blob, tmp_path):
    to_peft_folder(blob, tmp_path / "peft")
    assert (tmp_path / "peft" / "adapter_model.safetensors").read_bytes() == blob
    assert '"LORA"' in (tmp_path / "peft" / "adapter_config.json").read_text()


@pytest.fixture
def adapters(shapes):
    return [read_adapter(adapter_blob(shapes, BASE, f"default-r{n}-a1", seed=n)) for n in range(4)]


def test_the_store_survives_a_restart(adapters, tmp_path):
    AdapterStore(tmp_path, 4, BASE).put(adapters[0])
    again = AdapterStore(tmp_path, 4, BASE)
    assert again.ids() == {adapters[0].hash: adapters[0].id}
    assert again.get(adapters[0].hash).blob == adapters[0].blob


def test_the_store_forgets_what_was_used_longest_ago_but_never_what_is_in_use(adapters, tmp_path):
    store = AdapterStore(tmp_path, 2, BASE)
    store.put(adapters[0])
    store.put(adapters[1])
    store.get(adapters[0].hash)
    store.put(adapters[2])
    assert set(store.ids()) == {adapters[0].hash, adapters[2].hash}
    store.put(adapters[3], in_use={adapters[0].hash})
    assert set(store.ids()) == {adapters[0].hash, adapters[3].hash}
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(UnknownAdapter, match="push it"):
        store.get(adapters[1].hash)


def test_an_id_is_never_reused_and_the_same_adapter_again_is_nothing_new(
    adapters, shapes, tmp_path
):
    store = AdapterStore(tmp_path, 4, BASE)
    store.put(adapters[0])
    store.put(adapters[0])
    namesake = read_adapter(adapter_blob(shapes, BASE, adapters[0].id, seed=9))
    with pytest.raises(AdapterError, match="never reused"):
        store.put(namesake)
    assert store.ids() == {adapters[0].hash: adapters[0].id}


def test_a_broken_file_in_the_store_is_removed_and_another_base_is_left_alone(adapters, tmp_path):
    store = AdapterStore(tmp_path, 4, BASE)
    store.put(adapters[0])
    store.put(adapters[1])
    path = tmp_path / f"{adapters[0].hash}.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    assert AdapterStore(tmp_path, 4, "c" * 64).ids() == {}
    assert set(AdapterStore(tmp_path, 4, BASE).ids()) == {adapters[1].hash}
    assert not path.exists()
