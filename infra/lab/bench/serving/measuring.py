"""One run's measurements: each arm in its process, its row kept, its progress shown."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.progress import Progress

from infra.lab.bench.listings import GENERATED
from infra.lab.bench.results import ArmResult, Options, Scalar
from infra.lab.bench.runner import run_shown
from infra.lab.bench.serving.adapters import AdaptersJob
from infra.lab.bench.serving.adapters import carry_out as carry_out_adapters
from infra.lab.bench.serving.arm import LISTUNE, WAYS, ServingJob, carry_out
from infra.lab.bench.serving.figures import CROWD, adapter_rows, row_of, seeing_rows
from infra.lab.bench.serving.host import HostJob
from infra.lab.bench.serving.host import carry_out as carry_out_host
from infra.lab.bench.serving.host_figures import host_rows
from infra.lab.bench.serving.pushes import PushesJob
from infra.lab.bench.serving.pushes import carry_out as carry_out_pushes
from infra.lab.bench.serving.pushes_figures import push_rows
from infra.lab.bench.serving.seeing import SeeingJob
from infra.lab.bench.serving.seeing import carry_out as carry_out_seeing
from infra.lab.bench.serving.workload import Workload
from infra.machine import REPOSITORY

VLLM_PYTHON = REPOSITORY / ".venv-vllm" / "bin" / "python"
STEP_TOKENS = 256
"""OpenVINO's own bound on the tokens of one forward pass."""


@dataclass
class Measuring:
    """Where the model, the picture encoder, Triton and the workloads are, and the rows so far.

    `quick` measures two listings alone and three at a time, and tries one set-up only.
    """

    base: Path
    folder: Path
    shown: Progress
    quick: bool = False
    encoder: Path | None = None
    triton: Path | None = None
    workloads: dict[str, Workload] = field(default_factory=dict)
    rows: list[ArmResult] = field(default_factory=list)
    trials: list[ArmResult] = field(default_factory=list)

    def add(self, name: str, workload: Workload) -> None:
        """Keep a set of listings under `name`, for the arms' processes."""
        self.workloads[name] = workload
        workload.write(self._file(name))

    def arm(
        self,
        name: str,
        options: Options,
        listing_set: str = GENERATED,
        listings: int = 8,
        in_flight: int = CROWD,
    ) -> ArmResult:
        """Measure an arm; its row is kept and returned, also where it could not run.

        Args:
            name: of the arm; `options` are for its way.
            listings: at most so many alone.
            in_flight: so many at a time afterwards; 0 for a way with one stream only.
        """
        if self.quick:
            listings, in_flight = 2, min(3, in_flight)
        row = self._measure(name, options, listing_set, listings, in_flight)
        self.rows.append(row)
        return row

    def seeing(self, name: str, listing_set: str = GENERATED) -> None:
        """Measure listings with and without a picture; all their rows are kept."""
        folders = (str(self.base), str(self.encoder), str(self._file(listing_set)))
        job = SeeingJob(*folders)
        if self.quick:
            job = SeeingJob(
                *folders, listings=2, crowd=3, in_flight=3, crowd_rounds=1, waits=4, waits_rounds=1
            )
        elif listing_set != GENERATED:
            job = SeeingJob(*folders, crowd=0, waits=0)
        outcome = run_shown(self.shown, label_of(name, {"batches": 0}), carry_out_seeing, job)
        told: Options = {"arm": name, "set": listing_set, "batches": 0}
        label = name if listing_set == GENERATED else f"{name}, {listing_set}"
        self.rows += seeing_rows(label, told, outcome)

    def adapters(self, name: str, decoder: str) -> None:
        """Measure listings by the base, one adapter and two; all their rows are kept."""
        job = AdaptersJob(str(self.base), str(self._file(GENERATED)), decoder)
        if self.quick:
            job = replace(job, listings=2, crowd=3, in_flight=3, rounds=1)
        label = label_of(name, {"decoder": decoder})
        outcome = run_shown(self.shown, label, carry_out_adapters, job)
        told: Options = {"arm": name, "set": GENERATED, "in_flight": job.in_flight}
        self.rows += adapter_rows(label, told | {"decoder": decoder}, outcome)

    def pushes(self, name: str) -> None:
        """Measure listings while adapters are pushed, and without; the rows of all are kept."""
        job = PushesJob(str(self.base), str(self.triton), str(self._file(GENERATED)))
        if self.quick:
            job = replace(job, in_flight=3, pushes=3, every_s=1.0, calm_s=3.0, max_adapters=2)
        outcome = run_shown(self.shown, name, carry_out_pushes, job)
        told: Options = {"arm": name, "set": GENERATED, "in_flight": job.in_flight}
        self.rows += push_rows(name, told, job.max_adapters, outcome)

    def host(self, name: str) -> None:
        """Measure what a listing costs beside computing; a row for each mode is kept."""
        job = HostJob(str(self.base), str(self._file(GENERATED)))
        if self.quick:
            job = replace(job, listings=2, crowd=8, in_flight=4, rounds=1)
        outcome = run_shown(self.shown, name, carry_out_host, job)
        told: Options = {"arm": name, "set": GENERATED, "in_flight": job.in_flight}
        self.rows += host_rows(name, told, outcome)

    def trial(self, name: str, options: Options) -> float:
        """Median seconds of three listings alone with these options; endless if they cannot run."""
        row = self._measure(name, options, GENERATED, listings=3, in_flight=0)
        self.trials.append(row)
        return row.figure("p50_s") or float("inf")

    def best(self, name: str, options: Options, choices: Mapping[str, Sequence[Scalar]]) -> Options:
        """`options` with the best of `choices`: one after the other, each kept where it wins.

        The first of each choice is where the search starts, and ends in a quick run.
        """
        best = options | {key: among[0] for key, among in choices.items()}
        if self.quick:
            return best
        best_s = self.trial(name, best)
        for key, among in choices.items():
            for choice in among[1:]:
                seconds = self.trial(name, best | {key: choice})
                if seconds < best_s:
                    best_s, best = seconds, best | {key: choice}
        return best

    def _measure(
        self, name: str, options: Options, listing_set: str, listings: int, in_flight: int
    ) -> ArmResult:
        job = ServingJob(
            WAYS.get(name, LISTUNE), str(self.base), str(self._file(listing_set)), options,
            listings=listings, in_flight=in_flight,
        )  # fmt: skip
        python = str(VLLM_PYTHON) if name == "vllm" else sys.executable
        label = label_of(name, options)
        outcome = run_shown(self.shown, label, carry_out, job, python)
        # What stands in the row: the arm, the listings, and the options that make a difference.
        told: Options = {"arm": name, "set": listing_set, "in_flight": in_flight or 1}
        for key, value in options.items():
            told |= {} if key == "mode" else {"asked_dtype" if key == "dtype" else key: value}
        return row_of(
            label if listing_set == GENERATED else f"{label}, {listing_set}", told, outcome
        )

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def label_of(name: str, options: Options) -> str:
    """An arm with the options that tell its rows apart."""
    batches = options.get("prompting", options.get("batches"))
    parts = [name]
    if batches is not None:
        parts.append(
            {"json": "JSON", "0": "B=|A|", "schema": "schema first"}.get(
                str(batches), f"B={batches}"
            )
        )
    if options.get("step_tokens", STEP_TOKENS) != STEP_TOKENS:
        parts.append(f"{options['step_tokens']} a step")
    if options.get("dtype") not in (None, "auto"):
        parts.append(str(options["dtype"]))
    if "decoder" in options:
        parts.append(str(options["decoder"]))
    return " ".join(parts)


def fastest(rows: Sequence[ArmResult]) -> ArmResult | None:
    """The row with the lowest median for one listing; None where none ran."""
    ran = [row for row in rows if row.figure("p50_s") is not None]
    return min(ran, key=lambda row: row.figures["p50_s"] or 0.0) if ran else None
