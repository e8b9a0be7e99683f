"""Adapters and the base on one list of held-out listings: `python -m trainer.side_by_side --job …`.

The gate judges each round on the held-out listings of then; here all are asked for the same ones,
so that they can be compared. The base is asked without and with a worked example, the nearest of
the listings that have arrived. What it finds stands in the job's folder, as `SIDE_BY_SIDE`.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from transformers.utils import logging as transformers_logging

from schemas.errors import ListuneError
from schemas.events import BASE_ADAPTER
from serving.process.files import write_file
from trainer.data.dataset import read_heldout
from trainer.data.registry import Registry
from trainer.judging.arms import adapter_arm, example_arm
from trainer.judging.evaluate import Evaluation
from trainer.judging.intervals import draw_listings, paired, two_sided
from trainer.judging.judge import Judge, judging, metrics_of
from trainer.progress import RoundProgress
from trainer.results import (
    ARMS,
    EXIT_REFUSED,
    FAILURE,
    PROGRESS,
    SIDE_BY_SIDE,
    Contender,
    Difference,
    Failure,
    SideBySideJob,
)
from trainer.settings import TrainerSettings


def compare(job: SideBySideJob, progress: RoundProgress) -> list[Contender]:
    """Ask all arms; also leaves them in the job's folder.

    Raises:
        ListuneError: a file is wrong, or an adapter is not in the registry.
    """
    rows, registry = read_heldout(job.heldout), Registry(job.trainer.registry_dir)
    scratch = job.folder / "engine"
    with judging(job.trainer, job.serving, rows, scratch, progress) as judge:
        evaluations = adapter_arm(judge, None)
        if job.examples is not None:
            evaluations |= example_arm(judge, read_heldout(job.examples))
        for name in job.adapters:
            evaluations |= adapter_arm(judge, registry.get(name).read())
        arms = _arms(evaluations, judge, job.trainer)
    write_file(job.folder / SIDE_BY_SIDE, ARMS.dump_json(arms, indent=2))
    return arms


def _arms(
    evaluations: Mapping[str, Evaluation], judge: Judge, trainer: TrainerSettings
) -> list[Contender]:
    drawn = draw_listings(len(judge.rows), trainer.bootstrap_draws, trainer.bootstrap_seed)
    cost, base = trainer.cost_of_wrong, evaluations[BASE_ADAPTER]

    def over_base(evaluation: Evaluation) -> Difference:
        before, after = (e.measure("net_benefit", cost) for e in (base, evaluation))
        sample = paired(before, after, drawn)
        found = two_sided(after.value - before.value, sample)
        return Difference(
            value=found.value, lower=found.low, upper=found.high, error=float(sample.std())
        )

    return [
        Contender(
            name=name,
            metrics=metrics_of(evaluation, trainer),
            difference=None if name == BASE_ADAPTER else over_base(evaluation),
            evaluation=judge.path(evaluation),
            seconds=evaluation.seconds,
        )
        for name, evaluation in evaluations.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="trainer.side_by_side", description="judge adapters and the base on the same listings"
    )
    parser.add_argument("--job", type=Path, required=True, help="JSON of a SideBySideJob")
    given = parser.parse_args(arguments)
    job = SideBySideJob.model_validate_json(given.job.read_bytes())
    logging.basicConfig(level=logging.WARNING)
    transformers_logging.disable_progress_bar()
    try:
        with RoundProgress(job.folder / PROGRESS, job.trainer.progress) as progress:
            compare(job, progress)
    except ListuneError as error:
        print(error, file=sys.stderr)
        write_file(job.folder / FAILURE, Failure(reason=str(error)).model_dump_json().encode())
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
