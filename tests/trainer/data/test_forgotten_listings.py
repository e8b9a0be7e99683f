"""A forgotten listing is trained on no more, and leaves what the trainer keeps."""

import json
from pathlib import Path

import duckdb
import pytest

from schemas.events import ManifestFile, RetrainRequest, listing_sha256
from serving.settings import ServingSettings
from streams.pool import erasure as of_the_pool
from tests.builders import make_rows, write_manifest
from tests.trainer.data.test_registry import make_blob, make_lineage
from trainer.data.dataset import Row, file_hash, read_rows, rows_hash
from trainer.data.parquet import erase, erased_from
from trainer.data.registry import Registry
from trainer.errors import DataError, RegistryError
from trainer.judging.evaluate import Evaluation, EvaluationKey, ListingScore
from trainer.judging.evaluation_store import EvaluationStore
from trainer.judging.heldout import read_held_out
from trainer.learning.history import situation
from trainer.learning.strategies import STRATEGIES
from trainer.settings import TrainerSettings

GONE = frozenset({listing_sha256("l1")})


def ids(rows: list[Row]) -> list[str]:
    return [row.listing.listing_id for row in rows]


@pytest.fixture
def data(tmp_path: Path) -> list[ManifestFile]:
    return [
        write_manifest(make_rows(4), tmp_path / "train.parquet"),
        write_manifest(make_rows(2), tmp_path / "heldout.parquet", "heldout"),
    ]


@pytest.fixture
def registry(tmp_path: Path, data: list[ManifestFile]) -> Registry:
    """One adapter, trained on `data`."""
    registry = Registry(tmp_path / "registry")
    blob = make_blob("default-r1-a1")
    registry.put(blob, make_lineage("default-r1-a1", blob), data)
    return registry


def next_round(data: list[ManifestFile], **changes: object) -> RetrainRequest:
    given = {
        "pool": "default", "round": 2, "parent_id": "default-r1-a1", "parent_hash": "1" * 64,
        "selection": "gap", "k": 4, "min_gap": 0.0, "files": data,
    }  # fmt: skip
    return RetrainRequest.model_validate(given | changes)


def test_a_file_that_it_was_taken_out_of_is_still_the_one_that_the_round_names(
    data: list[ManifestFile],
) -> None:
    path = Path(data[0].path)
    assert erase(path, data[0].sha256, GONE)
    assert not erase(path, data[0].sha256, GONE)
    assert ids(read_rows(data[:1])) == ["l0", "l2", "l3"]
    # Taken out once more, it still names the hash of the whole file.
    assert erase(path, erased_from(path) or file_hash(path), {listing_sha256("l3")})
    assert read_rows(data[:1]) == [make_rows(4)[0], make_rows(4)[2]]
    with pytest.raises(DataError, match="not the file"):
        read_rows([data[0].model_copy(update={"sha256": "0" * 64})])


def test_a_file_that_the_pool_took_it_out_of_is_read_like_one_of_our_own(
    data: list[ManifestFile],
) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA store")
        con.execute("CREATE TABLE store.pictures (listing_sha256 VARCHAR, sha256 VARCHAR)")
        assert of_the_pool.erase(con, data[0], GONE)
    assert ids(read_rows(data[:1])) == ["l0", "l2", "l3"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_trains_on_it(
    registry: Registry, data: list[ManifestFile], strategy: str
) -> None:
    trainer = TrainerSettings(strategy=strategy, replay_share=0.5)
    chain = registry.entries()
    known = situation(next_round(data), None, chain, trainer, GONE)
    rows = STRATEGIES[strategy](known).rows
    assert set(ids(rows)) == {"l0", "l2", "l3"}


def test_nobody_is_judged_on_it_and_that_is_another_evaluation(data: list[ManifestFile]) -> None:
    trainer, request = TrainerSettings(calibration_share=1e-9), next_round(data)
    before, after = (read_held_out(trainer, request, [], gone) for gone in ((), GONE))
    assert (ids(before.judging), ids(after.judging)) == (["l0", "l1"], ["l0"])
    assert rows_hash(before.judging) != rows_hash(after.judging)
    everybody = {listing_sha256(one) for one in ("l0", "l1")}
    with pytest.raises(DataError, match="nothing to judge on"):
        read_held_out(trainer, request, [], everybody)


def test_it_leaves_the_registry_and_adapters_stay_as_they_are(registry: Registry) -> None:
    before = registry.get("default-r1-a1")
    assert registry.erase(GONE) == 2
    assert registry.erase(GONE) == 0
    entry = registry.get("default-r1-a1")
    assert entry.lineage == before.lineage
    assert entry.read().blob == make_blob("default-r1-a1")
    assert ids(read_rows(entry.data())) == ["l0", "l2", "l3", "l0"]
    assert not any(Path(file.path).stat().st_mode & 0o222 for file in entry.data())


def test_a_damaged_file_of_the_registry_is_named(registry: Registry) -> None:
    path = Path(registry.get("default-r1-a1").data()[0].path)
    path.chmod(0o644)
    path.write_bytes(b"no parquet")
    with pytest.raises(RegistryError, match=rf"{path}.*mend it"):
        registry.erase(GONE)


def test_evaluations_with_answers_about_it_are_removed(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    keys = {
        listing: EvaluationKey.of("a" * 64, "b" * 64, listing, ServingSettings())
        for listing in ("l0", "l1")
    }
    for listing, key in keys.items():
        score = ListingScore(
            listing_id=listing, asked=1, valid=0, labelled=0, suggested=0, right=0, seconds=1.0,
            values={}, invalid={},
        )  # fmt: skip
        store.put(Evaluation(key=key, adapter_id="x", listings=[score], seconds=1.0))
    assert store.erase(GONE) == 1
    assert store.get(keys["l1"]) is None
    assert store.get(keys["l0"]) is not None
    assert "l1" not in [
        score["listing_id"]
        for path in tmp_path.glob("*.json")
        for score in json.loads(path.read_bytes())["listings"]
    ]
