"""Listings with and without a picture on the tiny model: what is measured, and what rows say."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from infra import progress
from infra.lab.bench import listings
from infra.lab.bench.results import begin
from infra.lab.bench.serving import run as serving
from infra.lab.bench.serving import seeing
from infra.lab.bench.serving.figures import seeing_rows
from infra.lab.bench.serving.measuring import Measuring
from infra.lab.bench.serving.seeing import KINDS, SeeingJob, carry_out
from infra.lab.bench.serving.workload import Workload


def measured(seconds: dict[str, float], waits: dict[str, list[list[float]]]) -> dict:
    works = {"forward_passes": 2, "tokens_computed": 10}
    works |= {"logits_computed": None, "tokens_generated": None}
    return {
        "alone": {k: {"seconds": [s, s], "works": [works] * 2} for k, s in seconds.items()},
        "crowd": {
            k: {"listings": 4, "seconds": 4 * s, "finished": [s], "work": works}
            for k, s in seconds.items()
        },
        "waits": waits,
        "settings": {"dtype": "float32"},
        "warm_up_s": 1.0,
        "peak_memory_mb": 100.0,
        "eyes_ms": {"decode": 1.0, "encode": 8.0, "project": 1.0, "all": 12.0},
        "text_rows": 160.0,
        "picture_rows": 49,
    }


def test_a_row_says_what_a_picture_costs_beside_the_same_listing_without() -> None:
    outcome = measured({"none": 0.5, "new": 0.6, "kept": 0.55}, {kind: [] for kind in KINDS})
    none, new, kept = seeing_rows("pictures", {"arm": "pictures"}, outcome)
    assert none.name == "pictures, without a picture"
    assert none.figure("times_text") is None
    assert [row.figures["trunk_rows_per_listing"] for row in (none, new, kept)] == [160, 209, 209]
    assert new.figures["times_text"] == pytest.approx(1.2)
    assert new.figures["crowd_times_text"] == pytest.approx(1.2)
    assert new.figures["eyes_share"] == pytest.approx(0.02)
    assert kept.figures["times_text"] == pytest.approx(1.1)
    assert kept.figure("eyes_share") is None
    assert none.figures["listings_per_s"] == 2.0


def test_waits_are_compared_with_those_of_the_same_round() -> None:
    waits = {
        "none": [[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]],
        "new": [[1.5, 1.5], [2.0, 2.0], [5.0, 5.0]],
        "kept": [[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]],
    }
    outcome = measured(dict.fromkeys(KINDS, 0.5), waits)
    none, new, kept = seeing_rows("pictures", {"arm": "pictures"}, outcome)[3:]
    assert (none.figures["p50_s"], none.figure("p50_times")) == (2.0, None)
    assert new.figures["p50_times"] == 1.25
    assert (new.figures["p90_times_least"], new.figures["p90_times_most"]) == (1.0, 1.5)
    assert kept.figures["p90_times"] == 1.0
    assert new.raw["round_2_s"] == [5.0, 5.0]


def test_one_that_did_not_run_says_why() -> None:
    (row,) = seeing_rows("pictures", {}, {"not_run": "it failed"})
    assert row.not_run == "it failed"


@pytest.mark.slow
def test_every_listing_is_answered_with_and_without_a_picture(
    tiny_base: Path, tiny_encoder: Path, workload: Workload, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = tmp_path / "workload.json"
    workload.write(file)
    looked: list[int] = []
    request = seeing.Seeing.request
    monkeypatch.setattr(
        seeing.Seeing,
        "request",
        lambda *given: looked.append(len((made := request(*given)).pictures)) or made,
    )
    job = SeeingJob(
        str(tiny_base), str(tiny_encoder), str(file), "float32", "cpu",
        listings=2, crowd=3, in_flight=2, crowd_rounds=2, waits=4, waits_in_flight=2,
        waits_rounds=2, few=3,
    )  # fmt: skip
    outcome = carry_out(job)
    for kind in KINDS:
        assert len(outcome["alone"][kind]["seconds"]) == 2
        assert outcome["crowd"][kind]["listings"] == len(outcome["crowd"][kind]["finished"]) == 6
        assert [len(of_round) for of_round in outcome["waits"][kind]] == [2, 2]
        assert min(min(of_round) for of_round in outcome["waits"][kind]) > 0
    computed = [
        [work["tokens_computed"] for work in outcome["alone"][kind]["works"]] for kind in KINDS
    ]
    assert computed[1] == computed[2]  # rows of zeros: all pictures have the same answers
    assert computed[0] != computed[1]
    assert outcome["eyes_ms"].keys() == {"decode", "encode", "project", "all"}
    # Warming up, alone, the crowd and the waits; pictures in two of three kinds.
    assert sum(looked) == 2 + 4 + 12 + 2 * 2 * 2
    assert outcome["picture_rows"] == 4


@pytest.mark.slow
def test_the_arm_stands_in_the_result_with_a_row_for_each_kind(
    tiny_base: Path, tiny_encoder: Path, workload: Workload, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(serving, "matrix_rates", lambda *_: {"float32": 1.0, "bfloat16": 1.0})
    shown = progress.bar(Console(quiet=True))
    measuring = Measuring(tiny_base, tmp_path, shown, quick=True, encoder=tiny_encoder)
    measuring.add(listings.GENERATED, workload)
    (result,) = serving.measure(measuring, ("pictures",), begin("serving"))
    assert [row.not_run for row in result.rows] == [""] * 6
    assert [row.settings.get("picture") for row in result.rows[:3]] == list(KINDS)
    assert [row.settings.get("waits") for row in result.rows[3:]] == list(KINDS)
    assert "limit_s" not in result.rows[0].figures


@pytest.mark.slow
def test_the_adapter_changes_no_answer_and_its_picture_rows_are_zero(
    tiny_base: Path, tiny_encoder: Path
) -> None:
    from infra.lab.bench.serving.idle_adapter import idle_adapter
    from serving.adapter_file import read_adapter
    from serving.engine.eyes.encoder import load_encoder
    from serving.engine.eyes.encoder_eyes import EncoderEyes
    from serving.engine.eyes.projector import loaded

    sight = EncoderEyes(load_encoder(tiny_encoder, torch.device("cpu")), 64).sight
    adapter = read_adapter(idle_adapter(tiny_base, "seeing", sight))
    assert all(not b.any() for _, b in adapter.pairs().values())
    assert len(adapter.pairs()) % 7 == 0
    rows = loaded(sight, adapter.projector())(torch.rand(1, sight.rows, sight.features))
    assert not rows.any()
