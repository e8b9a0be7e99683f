"""Rounds on historic listings: whole, killed, gone on with, refused."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.catalogs.catalog import Product, write_catalog
from infra.history import rounds
from infra.history.asking import Answers
from infra.history.begun import HistoryFolder
from infra.history.choosing import submitted
from infra.history.rounds import Outcome
from infra.lab.small import small_settings
from infra.settings import Settings
from schemas.category import CategorySchema, CategorySchemas
from schemas.errors import ListuneError
from schemas.events import RetrainRequest, listing_sha256
from schemas.heldout import is_held_out
from schemas.sources.json_schema import write_schemas
from serving.adapter_file import AdapterFile
from serving.generation import AdapterName
from tests.infra.history.conftest import SEED, Catalog, Done, at, trained
from tests.waiting import wait_for
from trainer.data.dataset import read_rows, with_role
from trainer.data.registry import Registry
from trainer.judging.champions import former_best
from trainer.judging.heldout import read_held_out, taught_before
from trainer.results import adapter_id

pytestmark = pytest.mark.slow


def test_a_round_on_history_ends_with_a_judged_adapter_whose_lineage_says_so(done: Done) -> None:
    _, settings, outcome = done
    [(entry, asking_s)] = outcome.rounds
    lineage = entry.lineage
    assert lineage.source == "history"
    assert (lineage.parent_id, lineage.round) == ("base", 1)
    assert entry.read().hash == lineage.adapter_hash
    assert outcome.best is not None
    assert outcome.best.lineage.adapter_id == lineage.adapter_id
    assert asking_s > 0
    taught = read_rows(with_role(entry.data(), "train"))
    judged = read_rows(with_role(entry.data(), "heldout"))
    share = settings.streams.heldout_share
    assert len(taught) == settings.streams.k
    assert not any(is_held_out(row.listing.listing_id, share) for row in taught)
    assert all(is_held_out(row.listing.listing_id, share) for row in judged)
    assert {origin for row in taught for origin in row.origins.values()} == {"typed"}


def test_its_listings_judge_no_round_of_a_stack_that_begins_from_it(done: Done) -> None:
    _, settings, outcome = done
    [(entry, _)] = outcome.rounds
    [file] = with_role(entry.data(), "train")
    request = RetrainRequest(
        pool="default",
        round=1,
        cluster_id="kafka",
        parent_id=entry.lineage.adapter_id,
        parent_hash=entry.lineage.adapter_hash,
        selection="gap",
        k=1,
        min_gap=0.0,
        # They arrive and are reviewed; a share that grew holds them out.
        files=[file.model_copy(update={"role": "heldout"}), *with_role(entry.data(), "heldout")],
    )
    registry = Registry(settings.trainer.registry_dir)
    taught = taught_before(request, registry)
    assert {row.listing.listing_id for row in taught} == {
        row.listing.listing_id for row in read_rows([file])
    }
    held_out = read_held_out(settings.trainer, request, taught)
    left = {row.listing.listing_id for row in [*held_out.calibrating, *held_out.judging]}
    assert left
    assert left.isdisjoint(row.listing.listing_id for row in taught)
    assert adapter_id(request) != entry.lineage.adapter_id


def test_the_best_champion_before_it_is_known_to_a_round_of_the_stream(further: Done) -> None:
    _, settings, outcome = further
    assert outcome.best is not None
    last = outcome.best.lineage
    request = RetrainRequest(
        pool="default",
        round=1,
        parent_id=last.adapter_id,
        parent_hash=last.adapter_hash,
        selection="gap",
        k=1,
        min_gap=0.0,
        files=[],
    )
    registry = Registry(settings.trainer.registry_dir)
    assert former_best(request, registry) == AdapterName(last.best_id, last.best_hash)
    assert [entry.lineage.round for entry in registry.chain(last.adapter_id)] == [1, 2]


def test_the_same_command_again_has_nothing_to_do(
    done: Done, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir, settings, outcome = done
    monkeypatch.setattr(rounds, "ask", _never)
    monkeypatch.setattr(rounds, "RoundProcess", _never)
    schemas, products = catalog
    again = trained(products[::-1], schemas, settings, run_dir)
    assert again == outcome
    assert "1 of 1 rounds are done" in again.why
    assert not list((run_dir / "history").glob("*.parquet"))


def test_a_further_round_starts_from_the_adapter_and_takes_other_listings(
    further: Done,
) -> None:
    _, _, outcome = further
    first, second = (entry for entry, _ in outcome.rounds)
    assert second.lineage.parent_id == first.lineage.adapter_id
    taken = [
        {row.listing.listing_id for row in read_rows(with_role(entry.data(), "train"))}
        for entry in (first, second)
    ]
    assert taken[0].isdisjoint(taken[1])
    assert outcome.best == second


def test_a_listing_that_was_forgotten_is_not_taught_again(
    done: Done, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(done[0], run_dir)
    here = at(done[1].changed(history={"rounds": 2}), run_dir)
    registry = Registry(here.trainer.registry_dir)
    [entry] = registry.entries()
    forgotten = read_rows(with_role(entry.data(), "train"))[0].listing.listing_id
    assert registry.erase({listing_sha256(forgotten)}) == 1
    asked: set[str] = set()
    schemas, products = catalog

    def listens(some: Sequence[Product], *_: object) -> Answers:
        asked.update(product.product_id for product in some)
        return Answers({p.product_id: submitted(p, schemas) for p in some}, 1.0)

    monkeypatch.setattr(rounds, "ask", listens)
    monkeypatch.setattr(rounds, "MOST_BATCHES", 100)  # all that may be asked about
    trained(products, schemas, here, run_dir)
    planned = HistoryFolder(run_dir).planned(1)
    assert planned is not None
    assert forgotten in planned.asked
    assert asked
    assert asked.isdisjoint(planned.asked)


@pytest.mark.parametrize("changed", ["catalog", "schema", "base model", "setting streams.k"])
def test_rounds_on_something_else_are_refused_in_the_same_folder(
    done: Done, catalog: Catalog, changed: str, tmp_path: Path
) -> None:
    run_dir, here, _ = done
    schemas, products = catalog
    if changed == "catalog":
        products = products[:-1]
    elif changed == "schema":
        schemas = CategorySchemas(
            CategorySchema(category=s.category, attributes=s.attributes[1:])
            for s in schemas.values()
        )
    elif changed == "base model":
        other = small_settings(tmp_path, SEED + 1).local.base_model
        here = here.changed(serving={"base_model": str(other)})
    else:
        here = here.changed(streams={"k": 5})
    with pytest.raises(ListuneError, match=f"the {changed} is not the one .* --run-dir"):
        trained(products, schemas, here, run_dir)


def test_a_registry_whose_beginning_is_gone_is_not_gone_on_with(
    done: Done, catalog: Catalog, tmp_path: Path
) -> None:
    shutil.copytree(done[0] / "registry", tmp_path / "registry")
    schemas, products = catalog
    with pytest.raises(ListuneError, match="has adapters from history, and what they were begun"):
        trained(products, schemas, at(done[1], tmp_path), tmp_path)


def test_what_the_gate_rejects_is_nobodys_parent_and_ends_the_rounds(
    small: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    # More than all that is possible, and a pause after the first.
    strict = small.changed(
        trainer={"least_gain": 2.0}, streams={"pause_after": 1}, history={"rounds": 5}
    )
    schemas, products = catalog
    outcome = trained(products, schemas, at(strict, tmp_path), tmp_path)
    [(entry, _)] = outcome.rounds
    assert entry.lineage.decision.kind != "promote"
    assert outcome.best is None
    assert "in a row brought nothing that the gate promotes" in outcome.why


def test_where_the_model_misses_nothing_no_round_is_trained(
    small: Settings, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas, products = catalog

    def all_right(asked: Sequence[Product], *_: object) -> Answers:
        return Answers({p.product_id: submitted(p, schemas) for p in asked}, 1.0)

    monkeypatch.setattr(rounds, "ask", all_right)
    monkeypatch.setattr(rounds, "RoundProcess", _never)
    outcome = trained(products, schemas, at(small, tmp_path), tmp_path)
    assert outcome == Outcome(
        [], None, "too few listings are left for round 1 that leave anything to learn"
    )


def test_two_at_once_in_one_folder_are_refused(done: Done, catalog: Catalog) -> None:
    run_dir, settings, _ = done
    schemas, products = catalog
    with (
        HistoryFolder(run_dir).alone(),
        pytest.raises(ListuneError, match="another `listune bootstrap` is at work"),
    ):
        trained(products, schemas, settings, run_dir)


def test_answers_given_before_a_kill_are_not_asked_for_again(
    catalog: Catalog, small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas, products = catalog
    here = at(small, tmp_path)

    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    asked: list[int] = []

    def count(*arguments: Any) -> Answers:
        def told(*_: object) -> None:
            asked.append(1)

        return ask(*arguments[:-1], told)

    ask: Callable[..., Answers] = rounds.ask
    monkeypatch.setattr(rounds, "ask", count)
    monkeypatch.setattr(rounds.History, "_decide", killed)
    with pytest.raises(Killed):
        trained(products, schemas, here, tmp_path)
    told = len(asked)
    with pytest.raises(Killed):
        trained(products, schemas, here, tmp_path)
    # Once for all that is remembered, and not once a listing.
    assert len(asked) == told + 1


def test_a_round_that_was_killed_goes_on_and_comes_to_the_same_adapter(
    done: Done, catalog: Catalog, small: Settings, tmp_path: Path
) -> None:
    schemas, products = catalog
    write_catalog(tmp_path / "products.jsonl", products)
    write_schemas(tmp_path / "schema.json", schemas)
    here = at(small, tmp_path / "run")
    (tmp_path / "settings.json").write_text(here.model_dump_json())
    process = subprocess.Popen([sys.executable, "-c", _SCRIPT, str(tmp_path)])
    losses = tmp_path / "run" / "rounds" / "history-r1-a1" / "losses.jsonl"
    wait_for(lambda: process.poll() is not None or (losses.exists() and losses.stat().st_size), 120)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Registry(here.trainer.registry_dir).entries()
    outcome = trained(products, schemas, here, tmp_path / "run")
    [(entry, _)] = outcome.rounds
    [(uninterrupted, _)] = done[2].rounds
    assert entry.lineage.adapter_hash == uninterrupted.lineage.adapter_hash


_SCRIPT = """
import sys
from pathlib import Path
from infra.catalogs.catalog import read_catalog
from infra.history.parts import part
from infra.history.rounds import bootstrap
from infra.settings import read_settings
from schemas.sources.json_schema import read_schemas
folder = Path(sys.argv[1])
schemas = read_schemas(folder / "schema.json")
products, _ = read_catalog(folder / "products.jsonl", schemas)
settings = read_settings(folder / "settings.json")
parts = part(products, settings.streams, settings.trainer.seed)
bootstrap(parts, schemas, settings, folder / "run", Console(quiet=True))
"""


def _never(*_: object, **__: object) -> AdapterFile:
    raise AssertionError("nothing is to be asked or trained")
