"""One round in a process of its own: `python -m trainer.round --job job.json`.

    data -> finetune (-> average) -> calibrate -> evaluate parent, best champion and candidate
         -> gate -> registry -> result.json

A further look at a round's challenger begins with the evaluating, and ends with the gate.

The calibration is part of the adapter, so it comes before the judging: what is judged is what is
kept. Every finished stage leaves its result in the round's folder (or, for evaluations, in the
registry's store) and is skipped when the round runs again, so that a killed round goes on where it
was. The adapter enters the registry last, together with its metrics and its verdict, so that a
registry folder never changes.

A process of its own because training must not stop the worker's heartbeats, and because memory goes
back to the machine with it. With several processes, `accelerate launch` starts them all here: they
train together, then all but the first are done.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transformers.utils import logging as transformers_logging

from schemas.errors import ListuneError
from schemas.events import Mode, RetrainRequest, now_ms
from serving.adapter_file import CALIBRATION, AdapterFile, read_adapter, write_adapter
from serving.process.files import write_file
from trainer.data.dataset import Row
from trainer.data.pictures import RowPictures
from trainer.data.registry import Lineage, Registry
from trainer.errors import TrainingError
from trainer.judging.calibrate import calibrate, suggestions
from trainer.judging.champions import Judged, judge_candidate
from trainer.judging.forgetting import forgetting
from trainer.judging.heldout import fit_to_train, read_held_out, taught_before
from trainer.judging.judge import Judge, judging, metrics_of
from trainer.launch import end_with_parent
from trainer.learning.averaging import make_candidate
from trainer.learning.finetune import CHECKPOINT, LOSSES, StepReport, finetune
from trainer.learning.history import ancestry, parent_adapter, situation, trained_on
from trainer.learning.strategies import STRATEGIES, Plan, Situation
from trainer.learning.training_log import TrainingLog
from trainer.progress import RoundProgress
from trainer.results import (
    EXIT_REFUSED,
    FAILURE,
    PROGRESS,
    RESULT,
    CanaryListing,
    Failure,
    RoundJob,
    RoundResult,
    Trained,
    adapter_id,
    request_hash,
)

logger = logging.getLogger(__name__)

TRAINED = "candidate.safetensors"
CALIBRATED = "calibrated.safetensors"


def run_round(job: RoundJob, progress: RoundProgress, main: bool = True) -> RoundResult | None:
    """Run the stages that are not finished yet.

    Args:
        job: the round, or a further look at its challenger.
        progress: told of every step and every listing judged.
        main: whether this is the first of the launched processes; the others only train.

    Returns:
        The result, also in the round's folder; None unless `main`.

    Raises:
        ListuneError: the round cannot be completed; one sentence says why.
    """
    done = job.folder / RESULT
    request = request_hash(job.retrain)
    if done.exists():
        found = RoundResult.model_validate_json(done.read_bytes())
        if found.request not in ("", request):
            raise TrainingError(
                f"{done} answers another request than this round's; move the folder away"
            )
        return found
    Registry(job.trainer.registry_dir).expect(adapter_id(job.retrain), job.retrain)
    if job.retrain.look > 1:
        result = _look_again(job, progress) if main else None
    else:
        result = _train_and_judge(job, progress, main)
    if result is not None:
        result = result.model_copy(update={"request": request})
        write_file(done, result.model_dump_json(indent=2).encode())
        # Large, and of no more use: the registry has the adapter.
        for left in (TRAINED, CALIBRATED, CHECKPOINT):
            (job.folder / left).unlink(missing_ok=True)
    return result


def _train_and_judge(job: RoundJob, progress: RoundProgress, main: bool) -> RoundResult | None:
    request, trainer = job.retrain, job.trainer
    registry = Registry(trainer.registry_dir)
    parent = parent_adapter(request, registry)
    chain = ancestry(request, registry, trainer)
    known = situation(request, parent, chain, trainer, job.forgotten)
    known = replace(known, new=fit_to_train(known.new, trainer))
    # Before the training: where there is nothing to judge on, that would be for nothing.
    taught = [*known.new, *taught_before(request, registry, job.forgotten)]
    held_out = read_held_out(trainer, request, taught, job.forgotten)
    plan = STRATEGIES[trainer.strategy](known)
    trained = _train(job, request, known, plan, progress, main)
    if not main or trained is None:
        return None
    with judging(trainer, job.serving, held_out.judging, job.folder / "engine", progress) as judge:
        calibrating = judge.pictures.in_store(held_out.calibrating, "calibrated on")
        candidate = _calibrate(job, calibrating, judge)
        judged = judge_candidate(request, registry, parent, candidate, judge, trainer)
        remembered = forgetting(
            chain, parent, candidate, judge, job.serving, trainer, job.forgotten
        )
    result = _result(job, candidate, judged, judge, trained.seconds).model_copy(
        update={
            "trained": trained,
            "losses": str((job.folder / LOSSES).resolve()),
            "forgetting": remembered,
        }
    )
    data = trained_on(plan, known, request, chain)
    lineage = _lineage(job, trained, data, candidate, result, judged)
    registry.put(candidate.blob, lineage, request.files)
    return result


def _look_again(job: RoundJob, progress: RoundProgress) -> RoundResult:
    """Judges the round's challenger on the held-out listings that are there by now."""
    request, trainer = job.retrain, job.trainer
    registry = Registry(trainer.registry_dir)
    entry = registry.get(adapter_id(request))
    candidate = entry.read()
    parent = parent_adapter(request, registry)
    taught = taught_before(request, registry, job.forgotten)
    held_out = read_held_out(trainer, request, taught, job.forgotten)
    with judging(trainer, job.serving, held_out.judging, job.folder / "engine", progress) as judge:
        judged = judge_candidate(request, registry, parent, candidate, judge, trainer)
    return _result(job, candidate, judged, judge, entry.lineage.train_seconds)


def _result(
    job: RoundJob,
    candidate: AdapterFile,
    judged: Judged,
    judge: Judge,
    train_seconds: float,
) -> RoundResult:
    trainer = job.trainer
    return RoundResult(
        adapter_id=candidate.id,
        adapter_hash=candidate.hash,
        adapter_path=str(Registry(trainer.registry_dir).path(candidate.id).resolve()),
        decision=judged.decision,
        metrics=metrics_of(judged.candidate, trainer),
        parent_metrics=metrics_of(judged.parent, trainer),
        train_seconds=train_seconds,
        eval_seconds=judge.seconds,
        evaluation=judge.path(judged.candidate),
        parent_evaluation=judge.path(judged.parent),
        canary=_canary(judge.rows),
    )


def _canary(judged: Sequence[Row]) -> CanaryListing:
    """The first that has a text, which every adapter sees; else the first."""
    row = next((row for row in judged if row.has_text), judged[0])
    return CanaryListing(listing=row.listing, attributes=row.attributes, pictures=row.pictures)


def _train(
    job: RoundJob,
    request: RetrainRequest,
    known: Situation,
    plan: Plan,
    progress: RoundProgress,
    main: bool,
) -> Trained | None:
    facts = job.folder / "trained.json"
    if facts.exists():
        return Trained.model_validate_json(facts.read_bytes())
    settings = job.trainer.model_copy(update={"steps": plan.steps})
    pictures = RowPictures.of_settings(job.serving)
    rows = pictures.in_store(plan.rows, "trained on")
    with TrainingLog(adapter_id(request), settings, job.folder) as log:

        def on_step(step: StepReport) -> None:
            progress.update("train", step.step, plan.steps, step.loss)
            log.step(step)

        made = finetune(rows, plan.start, settings, job.serving, job.folder, on_step, pictures.of)
    if not main:
        return None
    blob, error = make_candidate(
        made, plan, settings, adapter_id(request), request.parent_id, request.parent_hash
    )
    trained = Trained(
        dtype=made.dtype,
        trainable_parameters=made.trainable_parameters,
        steps=len(made.losses),
        label_tokens=sum(step.tokens for step in made.losses),
        seconds=sum(step.seconds for step in made.losses),
        first_loss=made.losses[0].loss,
        last_loss=made.losses[-1].loss,
        listings=len(rows),
        earlier_listings=len(plan.rows) - len(known.new),
        parent_share=plan.parent_share,
        average_error=error,
    )
    write_file(job.folder / TRAINED, blob)
    write_file(facts, trained.model_dump_json().encode())
    return trained


def _calibrate(job: RoundJob, rows: Sequence[Row], judge: Judge) -> AdapterFile:
    """The final adapter: the trained one, with its calibration where there are listings for it."""
    final = job.folder / CALIBRATED
    if final.exists():
        return read_adapter(final.read_bytes())
    trained = read_adapter((job.folder / TRAINED).read_bytes())
    if not rows:
        logger.warning("%s: no listings to calibrate on, so it has no calibration", trained.id)
        write_file(final, trained.blob)
        return trained
    tensors = trained.tensors()
    # An engine takes an id once, and this one is for the adapter that the calibration makes.
    aside = {**trained.metadata, "adapter_id": f"{trained.id}.uncalibrated"}
    uncalibrated = read_adapter(write_adapter(tensors, aside))
    examples = {
        mode: [
            example
            for row, result in zip(
                rows, judge.ask(uncalibrated, rows, mode, f"calibrate {mode}"), strict=True
            )
            for example in suggestions(row, result)
        ]
        for mode in Mode
    }
    calibration = calibrate(examples, job.trainer.cost_of_wrong, job.trainer.target_precision)
    header = {**trained.metadata, CALIBRATION: calibration.model_dump_json()}
    calibrated = read_adapter(write_adapter(tensors, header))
    write_file(final, calibrated.blob)
    return calibrated


def _lineage(
    job: RoundJob,
    trained: Trained,
    data: list[str],
    candidate: AdapterFile,
    result: RoundResult,
    judged: Judged,
) -> Lineage:
    request = job.retrain
    return Lineage(
        adapter_id=candidate.id,
        adapter_hash=candidate.hash,
        parent_id=request.parent_id,
        parent_hash=request.parent_hash,
        base_hash=candidate.base_hash,
        pool=request.pool,
        round=request.round,
        attempt=request.attempt,
        cluster_id=request.cluster_id,
        source=request.source,
        strategy=job.trainer.strategy,
        data=request.files,
        trained_on=data,
        settings=job.trainer.model_dump(mode="json"),
        serving=json.loads(judged.candidate.key.settings),
        dtype=trained.dtype,
        steps=trained.steps,
        earlier_listings=trained.earlier_listings,
        parent_share=trained.parent_share,
        average_error=trained.average_error,
        label_tokens=trained.label_tokens,
        trainable_parameters=trained.trainable_parameters,
        train_seconds=trained.seconds,
        eval_seconds=result.eval_seconds,
        created_ms=now_ms(),
        heldout_hash=judged.candidate.key.heldout_hash,
        best_id=judged.best.id,
        best_hash=judged.best.hash,
        metrics=result.metrics,
        parent_metrics=result.parent_metrics,
        decision=result.decision,
        forgetting=result.forgetting,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="trainer.round", description="run one training round")
    parser.add_argument("--job", type=Path, required=True, help="the round's job.json")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end when standard input closes"
    )
    given = parser.parse_args(arguments)
    if given.end_with_parent:
        end_with_parent()
    job = RoundJob.model_validate_json(given.job.read_bytes())
    # Set by the launcher: which of its processes this one is.
    first = int(os.environ.get("RANK", "0")) == 0
    transformers_logging.disable_progress_bar()
    failure = job.folder / FAILURE
    if first:
        failure.unlink(missing_ok=True)
    try:
        with RoundProgress(job.folder / PROGRESS, job.trainer.progress and first) as progress:
            run_round(job, progress, first)
    except ListuneError as error:
        print(error, file=sys.stderr)
        write_file(failure, Failure(reason=str(error)).model_dump_json().encode())
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
