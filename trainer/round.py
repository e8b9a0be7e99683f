"""One round in a process of its own: `python -m trainer.round --job job.json`.

    data -> finetune (-> average) -> calibrate -> evaluate parent -> evaluate candidate -> gate
         -> registry -> result.json

The calibration is part of the adapter, so it comes before the judging: what is judged is what is
kept. Every finished stage leaves its result in the round's folder (or, for evaluations, in the
registry's store) and is skipped when the round runs again, so that a killed round goes on where it
was. The adapter enters the registry last, together with its metrics and its verdict, so that a
registry folder never changes.

A process of its own because training must not stop the worker's heartbeats, and because memory goes
back to the machine with it. With several processes, `accelerate launch` starts them all here: they
train together, then all but the first are done.

`--baselines` judges the base instead, without and with a one-shot example.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging as transformers_logging

from schemas.errors import ListuneError
from schemas.events import Mode, RetrainRequest, now_ms
from serving.adapters import CALIBRATION, AdapterFile, read_adapter, write_adapter, write_file
from trainer.calibrate import calibrate, suggestions
from trainer.candidate import make_candidate
from trainer.dataset import read_rows
from trainer.errors import TrainingError
from trainer.evaluate import ANSWER_SETTINGS
from trainer.finetune import CHECKPOINT, LOSSES, StepReport, finetune
from trainer.forgetting import forgetting
from trainer.gate import decide
from trainer.history import ancestry, parent_adapter, situation, trained_on
from trainer.judge import Judge, read_judging_rows, validation_files
from trainer.launch import end_with_parent
from trainer.progress import RoundProgress
from trainer.registry import Lineage, Registry
from trainer.results import (
    BASELINE_LIST,
    BASELINES,
    EXIT_REFUSED,
    FAILURE,
    PROGRESS,
    RESULT,
    Baseline,
    CanaryListing,
    Failure,
    Job,
    RoundResult,
    Trained,
    adapter_id,
)
from trainer.strategies import STRATEGIES, Plan, Situation
from trainer.training_log import TrainingLog

logger = logging.getLogger(__name__)

TRAINED = "candidate.safetensors"
CALIBRATED = "calibrated.safetensors"


def run_round(job: Job, progress: RoundProgress, main: bool = True) -> RoundResult | None:
    """Run the stages that are not finished yet.

    Args:
        job: the round; its `retrain` must be set.
        progress: told of every step and every listing judged.
        main: whether this is the first of the launched processes; the others only train.

    Returns:
        The result, also in the round's folder; None unless `main`.

    Raises:
        ListuneError: the round cannot be completed; one sentence says why.
    """
    request = job.retrain
    if request is None:
        raise TrainingError("the job names no round; write it with its retrain request")
    done = job.folder / RESULT
    if done.exists():
        return RoundResult.model_validate_json(done.read_bytes())
    trainer = job.trainer
    registry = Registry(trainer.registry_dir)
    parent = parent_adapter(request, registry)
    chain = ancestry(request, registry, trainer)
    known = situation(request, parent, chain, trainer, job.forgotten)
    plan = STRATEGIES[trainer.strategy](known)
    trained = _train(job, request, known, plan, progress, main)
    if not main or trained is None:
        return None
    rows, heldout_hash = read_judging_rows(trainer, request, job.forgotten)
    with Judge(trainer, job.serving, rows, heldout_hash, job.folder / "engine", progress) as judge:
        candidate = _calibrate(job, request, judge)
        before = judge.evaluate(parent, "judge parent")
        after = judge.evaluate(candidate, "judge candidate")
        remembered = forgetting(
            chain, parent, candidate, judge, job.serving, trainer.forgetting, job.forgotten
        )
    decision = decide(
        before, after, trainer.margin, trainer.bootstrap_draws, trainer.bootstrap_seed
    )
    result = RoundResult(
        adapter_id=candidate.id,
        adapter_hash=candidate.hash,
        adapter_path=str(registry.path(candidate.id).resolve()),
        decision=decision,
        metrics=judge.metrics(after),
        parent_metrics=judge.metrics(before),
        trained=trained,
        eval_seconds=judge.seconds,
        evaluation=judge.path(after),
        parent_evaluation=judge.path(before),
        losses=str((job.folder / LOSSES).resolve()),
        canary=CanaryListing(listing=rows[0].listing, attributes=rows[0].attributes),
        forgetting=remembered,
    )
    data = trained_on(plan, known, request, chain)
    lineage = _lineage(job, request, data, candidate, result, heldout_hash)
    registry.put(candidate.blob, lineage, request.files)
    write_file(done, result.model_dump_json(indent=2).encode())
    # Large, and of no more use: the registry has the adapter.
    for left in (TRAINED, CALIBRATED, CHECKPOINT):
        (job.folder / left).unlink(missing_ok=True)
    return result


def run_baselines(job: Job, progress: RoundProgress) -> list[Baseline]:
    """Judge the base on the held-out listings, without and with a one-shot example."""
    rows, heldout_hash = read_judging_rows(job.trainer, None)
    scratch = job.folder / "engine"
    with Judge(job.trainer, job.serving, rows, heldout_hash, scratch, progress) as judge:
        judged = [judge.evaluate(None, "judge base")]
        if job.trainer.evaluate_one_shot:
            judged.append(judge.evaluate(None, "judge base, one-shot", one_shot=True))
    baselines = [
        Baseline(
            one_shot=evaluation.key.one_shot,
            metrics=judge.metrics(evaluation),
            evaluation=judge.path(evaluation),
            seconds=evaluation.seconds,
        )
        for evaluation in judged
    ]
    write_file(job.folder / BASELINES, BASELINE_LIST.dump_json(baselines, indent=2))
    return baselines


def _train(
    job: Job,
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
    with TrainingLog(adapter_id(request), settings, job.folder) as log:

        def on_step(step: StepReport) -> None:
            progress.update("train", step.step, plan.steps, step.loss)
            log.step(step)

        made = finetune(plan.rows, plan.start, settings, job.serving, job.folder, on_step)
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
        listings=len(plan.rows),
        earlier_listings=len(plan.rows) - len(known.new),
        parent_share=plan.parent_share,
        average_error=error,
    )
    write_file(job.folder / TRAINED, blob)
    write_file(facts, trained.model_dump_json().encode())
    return trained


def _calibrate(job: Job, request: RetrainRequest, judge: Judge) -> AdapterFile:
    """The final adapter: the trained one, with its calibration where there are listings for it."""
    final = job.folder / CALIBRATED
    if final.exists():
        return read_adapter(final.read_bytes())
    trained = read_adapter((job.folder / TRAINED).read_bytes())
    rows = read_rows(validation_files(request), job.forgotten)
    if not rows:
        logger.warning("%s: no validation listings, so it has no calibration", trained.id)
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
    calibration = calibrate(examples, job.trainer.target_precision)
    header = {**trained.metadata, CALIBRATION: calibration.model_dump_json()}
    calibrated = read_adapter(write_adapter(tensors, header))
    write_file(final, calibrated.blob)
    return calibrated


def _lineage(
    job: Job,
    request: RetrainRequest,
    data: list[str],
    candidate: AdapterFile,
    result: RoundResult,
    heldout_hash: str,
) -> Lineage:
    trained = result.trained
    return Lineage(
        adapter_id=candidate.id,
        adapter_hash=candidate.hash,
        parent_id=request.parent_id,
        parent_hash=request.parent_hash,
        base_hash=candidate.base_hash,
        pool=request.pool,
        round=request.round,
        attempt=request.attempt,
        strategy=job.trainer.strategy,
        data=request.files,
        trained_on=data,
        settings=job.trainer.model_dump(mode="json"),
        serving=job.serving.model_dump(mode="json", include=ANSWER_SETTINGS),
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
        heldout_hash=heldout_hash,
        metrics=result.metrics,
        parent_metrics=result.parent_metrics,
        decision=result.decision,
        forgetting=result.forgetting,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="trainer.round", description="run one training round")
    parser.add_argument("--job", type=Path, required=True, help="the round's job.json")
    parser.add_argument("--baselines", action="store_true", help="judge the base instead")
    parser.add_argument(
        "--end-with-parent", action="store_true", help="end when standard input closes"
    )
    given = parser.parse_args(arguments)
    if given.end_with_parent:
        end_with_parent()
    job = Job.model_validate_json(given.job.read_bytes())
    # Set by the launcher: which of its processes this one is.
    first = int(os.environ.get("RANK", "0")) == 0
    transformers_logging.disable_progress_bar()
    failure = job.folder / FAILURE
    if first:
        failure.unlink(missing_ok=True)
    try:
        with RoundProgress(job.folder / PROGRESS, job.trainer.progress and first) as progress:
            if given.baselines:
                run_baselines(job, progress)
            else:
                run_round(job, progress, first)
    except ListuneError as error:
        print(error, file=sys.stderr)
        write_file(failure, Failure(reason=str(error)).model_dump_json().encode())
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
