"""Against whom a candidate has to hold."""

from pathlib import Path

from schemas.events import RetrainRequest
from serving.generation import AdapterName
from tests.trainer.data.test_registry import make_blob, make_lineage
from trainer.data.registry import Registry
from trainer.judging.champions import former_best


def order(parent: AdapterName) -> RetrainRequest:
    return RetrainRequest(
        pool="default", round=9, parent_id=parent.id, parent_hash=parent.hash, selection="gap",
        k=4, min_gap=0.0, files=[],
    )  # fmt: skip


def put(registry: Registry, name: str, parent: str, best: AdapterName) -> AdapterName:
    blob = make_blob(name)
    lineage = make_lineage(name, blob, parent)
    named = lineage.model_copy(update={"best_id": best.id, "best_hash": best.hash})
    registry.put(blob, named, [])
    return AdapterName(name, lineage.adapter_hash)


def test_the_best_is_the_one_that_the_parents_lineage_names(tmp_path: Path) -> None:
    registry, base = Registry(tmp_path), AdapterName("base", "base")
    first = put(registry, "default-r1-a1", "base", base)
    second = put(registry, "default-r2-a1", first.id, first)
    assert former_best(order(base), registry) == base
    assert former_best(order(first), registry) == base
    assert former_best(order(second), registry) == first


def test_a_parent_that_is_given_by_its_file_alone_is_its_own_best(tmp_path: Path) -> None:
    elsewhere = AdapterName("elsewhere-r1-a1", "1" * 64)
    assert former_best(order(elsewhere), Registry(tmp_path)) == elsewhere


def test_a_best_that_is_gone_from_the_registry_is_not_waited_for(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    gone = AdapterName("default-r1-a1", "1" * 64)
    second = put(registry, "default-r2-a1", "default-r1-a1", gone)
    assert former_best(order(second), registry) == second
