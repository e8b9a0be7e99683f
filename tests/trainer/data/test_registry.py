"""Adapters are kept whole, for good, and with where they come from."""

from pathlib import Path

import pytest
import torch

from schemas.events import Interval, ManifestFile, RetrainRequest, RoundMetrics
from serving.adapter_file import blob_hash, write_adapter
from tests.builders import make_rows, write_manifest
from trainer.data.registry import Entry, Lineage, Registry
from trainer.errors import RegistryError
from trainer.learning.history import parent_adapter
from trainer.results import Decision, Verdict


def make_blob(adapter_id: str, value: float = 1.0) -> bytes:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    tensors = {f"{name}A.weight": torch.full((2, 4), value), f"{name}B.weight": torch.ones(4, 2)}
    header = {
        "adapter_id": adapter_id,
        "parent_id": "base",
        "parent_hash": "base",
        "base_hash": "b" * 64,
        "rank": 2,
        "alpha": 2,
        "peft_config": '{"peft_type": "LORA", "r": 2}',
    }
    return write_adapter(tensors, header)


def make_lineage(adapter_id: str, blob: bytes, parent_id: str = "base", round_: int = 1) -> Lineage:
    share = Interval(value=0.5, low=0.4, high=0.6)
    metrics = RoundMetrics(
        completeness=share, recall=share, precision=share, listings=4, p50_ms=1.0, p90_ms=2.0
    )
    return Lineage(
        adapter_id=adapter_id,
        adapter_hash=blob_hash(blob),
        parent_id=parent_id,
        parent_hash="base",
        base_hash="b" * 64,
        pool="default",
        round=round_,
        attempt=1,
        strategy="progressive",
        data=[],
        trained_on=[],
        settings={},
        serving={},
        dtype="float32",
        steps=1,
        label_tokens=1,
        trainable_parameters=16,
        train_seconds=1.0,
        eval_seconds=1.0,
        created_ms=round_,
        heldout_hash="h" * 64,
        metrics=metrics,
        parent_metrics=metrics,
        decision=Decision(
            kind=Verdict.REJECT,
            reason="none is better",
            by="net_benefit",
            differences={},
            margin=0.02,
            listings=4,
        ),
    )


def put(
    registry: Registry,
    adapter_id: str,
    data: list[ManifestFile],
    parent: str = "base",
    round_: int = 1,
) -> Entry:
    blob = make_blob(adapter_id)
    return registry.put(blob, make_lineage(adapter_id, blob, parent, round_), data)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def data(tmp_path: Path) -> list[ManifestFile]:
    return [
        write_manifest(make_rows(3), tmp_path / "train.parquet"),
        write_manifest(make_rows(1), tmp_path / "heldout.parquet", "heldout"),
    ]


def request(parent: Entry | None, data: list[ManifestFile], **changes: object) -> RetrainRequest:
    given = {
        "pool": "default",
        "round": 3,
        "parent_id": parent.lineage.adapter_id if parent else "base",
        "parent_hash": parent.lineage.adapter_hash if parent else "base",
        "selection": "gap",
        "k": 3,
        "min_gap": 0.0,
        "files": data,
    }
    return RetrainRequest.model_validate(given | changes)


def test_what_is_put_comes_back(registry: Registry, data: list[ManifestFile]) -> None:
    entry = put(registry, "default-r1-a1", data)
    again = registry.get("default-r1-a1")
    assert again.lineage == entry.lineage
    assert again.read().blob == make_blob("default-r1-a1")
    assert [Path(file.path).read_bytes() for file in again.data()] == [
        Path(file.path).read_bytes() for file in data
    ]


def test_rejected_adapters_are_listed_too(registry: Registry) -> None:
    assert registry.entries() == []
    put(registry, "default-r2-a1", [], round_=2)
    put(registry, "default-r1-a1", [])
    assert [e.lineage.adapter_id for e in registry.entries()] == ["default-r1-a1", "default-r2-a1"]


def test_the_same_adapter_again_changes_nothing(registry: Registry) -> None:
    entry = put(registry, "default-r1-a1", [])
    before = entry.path.stat()
    put(registry, "default-r1-a1", [])
    assert entry.path.stat() == before


def test_an_id_is_never_reused(registry: Registry) -> None:
    put(registry, "default-r1-a1", [])
    other = make_blob("default-r1-a1", value=2.0)
    with pytest.raises(RegistryError, match="never reused"):
        registry.put(other, make_lineage("default-r1-a1", other), [])
    assert registry.get("default-r1-a1").read().blob == make_blob("default-r1-a1")


def test_an_id_that_another_rounds_adapter_has_is_noticed_before_there_is_one_to_put(
    registry: Registry, data: list[ManifestFile]
) -> None:
    put(registry, "default-r1-a1", data)
    registry.expect("default-r1-a1", request(None, data))
    registry.expect("default-r2-a1", request(None, data))
    registry.expect("default-r1-a1", request(None, data[1:], look=2))
    for other in (request(None, data[1:]), request(None, data, parent_hash="0" * 64)):
        with pytest.raises(RegistryError, match="two environments share this registry"):
            registry.expect("default-r1-a1", other)


def test_files_are_read_only(registry: Registry, data: list[ManifestFile]) -> None:
    entry = put(registry, "default-r1-a1", data)
    files = [path for path in entry.folder.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert all(path.stat().st_mode & 0o222 == 0 for path in files)


def test_a_half_written_folder_is_never_seen(registry: Registry, tmp_path: Path) -> None:
    put(registry, "default-r0-a1", [])
    gone = ManifestFile(role="train", path=str(tmp_path / "gone"), sha256="0" * 64, rows=1)
    with pytest.raises(RegistryError, match="cannot be written"):
        put(registry, "default-r1-a1", [gone])
    assert [path.name for path in registry.folder.iterdir()] == ["default-r0-a1"]


@pytest.mark.parametrize("adapter_id", ["../x", "a/b", "", ".hidden", "a\nb"])
def test_an_id_that_is_no_name_is_refused(registry: Registry, adapter_id: str) -> None:
    assert not registry.has(adapter_id)
    with pytest.raises(RegistryError):
        registry.get(adapter_id)


def test_a_damaged_file_is_noticed(registry: Registry) -> None:
    entry = put(registry, "default-r1-a1", [])
    entry.path.chmod(0o644)
    entry.path.write_bytes(make_blob("default-r1-a1", value=2.0))
    with pytest.raises(RegistryError, match="restore it"):
        entry.read()


def test_the_base_has_no_adapter_file(registry: Registry) -> None:
    assert parent_adapter(request(None, []), registry) is None


def test_a_parent_of_another_hash_is_refused(registry: Registry) -> None:
    first = put(registry, "default-r1-a1", [])
    with pytest.raises(RegistryError, match="is not adapter 000000000000"):
        parent_adapter(request(first, [], parent_hash="0" * 64), registry)
    elsewhere = request(first, [], parent_uri=str(registry.folder / "gone.safetensors"))
    with pytest.raises(RegistryError, match="cannot be read"):
        parent_adapter(elsewhere, registry)


def test_a_lineage_from_before_there_were_rounds_on_history_is_of_the_stream() -> None:
    written = make_lineage("default-r1-a1", make_blob("default-r1-a1")).model_dump(mode="json")
    del written["source"]
    assert Lineage.model_validate(written).source == "stream"
