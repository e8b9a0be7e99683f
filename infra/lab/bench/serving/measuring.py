"""One run's measurements: each arm in its process, its row kept, its progress shown."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.progress import Progress

from infra.lab.bench.listings import GENERATED
from infra.lab.bench.results import Options, Row, Scalar
from infra.lab.bench.runner import run_shown
from infra.lab.bench.serving.arm import ServingJob, carry_out
from infra.lab.bench.serving.figures import CROWD, row_of
from infra.lab.bench.serving.workload import Workload

STEP_TOKENS = 256
"""OpenVINO's own bound on the tokens of one forward pass."""


@dataclass
class Measuring:
    """Where the model and the workloads are, and the rows so far.

    `quick` measures two listings alone and three at a time, and tries one set-up only.
    """

    base: Path
    folder: Path
    shown: Progress
    quick: bool = False
    workloads: dict[str, Workload] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)

    def add(self, name: str, workload: Workload) -> None:
        """Keep a set of listings under `name`, for the arms' processes."""
        self.workloads[name] = workload
        workload.write(self._file(name))

    def arm(
        self,
        name: str,
        way: str,
        options: Options,
        listing_set: str = GENERATED,
        listings: int = 8,
        in_flight: int = CROWD,
        python: str = sys.executable,
    ) -> Row:
        """Measure an arm; its row is kept and returned, also where it could not run.

        Args:
            name: of the arm, without its options.
            way: key of `arm.WAYS`; `options` are for it.
            listings: at most so many alone.
            in_flight: so many at a time afterwards; 0 for a way with one stream only.
            python: interpreter of the environment that the way lives in.
        """
        if self.quick:
            listings, in_flight = 2, min(3, in_flight)
        job = ServingJob(way, str(self.base), str(self._file(listing_set)), options)
        job = replace(job, listings=listings, in_flight=in_flight)
        row = self._measure(name, job, listing_set, python)
        self.rows.append(row)
        return row

    def trial(self, name: str, way: str, options: Options, python: str = sys.executable) -> float:
        """Median seconds of three listings alone with these options; endless if they cannot run."""
        job = ServingJob(way, str(self.base), str(self._file(GENERATED)), options)
        row = self._measure(name, replace(job, listings=3, in_flight=0), GENERATED, python)
        self.trials.append(row)
        return row.figure("p50_s") or float("inf")

    def best(
        self,
        name: str,
        way: str,
        options: Options,
        choices: Mapping[str, Sequence[Scalar]],
        python: str = sys.executable,
    ) -> Options:
        """`options` with the best of `choices`: one after the other, each kept where it wins.

        The first of each choice is where the search starts, and ends in a quick run.
        """
        best = options | {key: among[0] for key, among in choices.items()}
        if self.quick:
            return best
        best_s = self.trial(name, way, best, python)
        for key, among in choices.items():
            for choice in among[1:]:
                seconds = self.trial(name, way, best | {key: choice}, python)
                if seconds < best_s:
                    best_s, best = seconds, best | {key: choice}
        return best

    def _measure(self, name: str, job: ServingJob, listing_set: str, python: str) -> Row:
        label = label_of(name, job.options)
        outcome = run_shown(self.shown, label, carry_out, job, python)
        if listing_set != GENERATED:
            label = f"{label}, {listing_set}"
        return row_of(label, self._settings(name, job, listing_set), outcome)

    def _settings(self, name: str, job: ServingJob, listing_set: str) -> Options:
        """What stands in the row: the arm, the listings, and the options that make a difference."""
        told: Options = {"arm": name, "set": listing_set, "in_flight": job.in_flight or 1}
        for key, value in job.options.items():
            told |= {} if key == "mode" else {"asked_dtype" if key == "dtype" else key: value}
        return told

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def label_of(name: str, options: Options) -> str:
    """An arm with the options that tell its rows apart."""
    batches = options.get("prompting", options.get("batches"))
    parts = [name]
    if batches is not None:
        parts.append({"json": "JSON", "0": "B=|A|"}.get(str(batches), f"B={batches}"))
    if options.get("step_tokens", STEP_TOKENS) != STEP_TOKENS:
        parts.append(f"{options['step_tokens']} a step")
    if options.get("dtype") not in (None, "auto"):
        parts.append(str(options["dtype"]))
    return " ".join(parts)


def fastest(rows: Sequence[Row]) -> Row | None:
    """The row with the lowest median for one listing; None where none ran."""
    ran = [row for row in rows if row.figure("p50_s") is not None]
    return min(ran, key=lambda row: row.figures["p50_s"] or 0.0) if ran else None
