"""One arm in a process of its own: `python -m infra.lab.bench.arm JOB RESULT`.

Progress goes to standard output, one JSON object a line; the row's figures go to the file RESULT.
Loading and one listing come first and are not measured: kernels are built then, and caches filled.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from infra.lab.bench.serving.work import Job, NotRun, Way, Work
from infra.lab.bench.serving.workload import Plan, Workload

WAYS = {
    "listune": "infra.lab.bench.listune_way:ListuneWay",
    "naive": "infra.lab.bench.naive_way:NaiveWay",
    "openvino": "infra.lab.bench.openvino_way:OpenVinoWay",
    "vllm": "infra.lab.bench.vllm_way:VllmWay",
}
"""Way to the module and class that carry it out, imported in that arm's process only."""


def main(job_path: str, result_path: str) -> None:
    """Measure the job in the file `job_path` and write what came out to `result_path`."""
    job = Job(**json.loads(Path(job_path).read_text()))
    try:
        outcome = run(job)
    except NotRun as reason:
        outcome = {"not_run": str(reason)}
    Path(result_path).write_text(json.dumps(outcome))


def run(job: Job) -> dict[str, Any]:
    """The figures, raw figures and settings of the job's row.

    Raises:
        NotRun: the way cannot run on this machine.
    """
    module, _, name = WAYS[job.way].partition(":")
    workload = Workload.read(Path(job.workload))
    started = time.perf_counter()
    way: Way = getattr(import_module(module), name)(Path(job.base), workload, job.options)
    try:
        # The last listing warms up, so that the measured ones find no cache of their own.
        way.answer(workload.plans[-1])
        warm_up_s = time.perf_counter() - started
        return measure(way, workload.plans[:-1], job) | {
            "settings": way.about(),
            "warm_up_s": warm_up_s,
            "peak_memory_mb": peak_memory_mb(),
        }
    finally:
        way.close()


def measure(way: Way, plans: Sequence[Plan], job: Job) -> dict[str, Any]:
    """Answer listings one at a time, then many at a time; seconds and counts of each."""
    say(0, job.listings, "one at a time")
    seconds: list[float] = []
    works: list[Work] = []
    began = time.perf_counter()
    for plan in plans[: job.listings]:
        started = time.perf_counter()
        works.append(way.answer(plan))
        seconds.append(time.perf_counter() - started)
        say(len(seconds), job.listings, "one at a time")
        if len(seconds) >= job.least and time.perf_counter() - began > job.budget_s:
            break
    outcome: dict[str, Any] = {
        "seconds": seconds,
        "works": [asdict(work) for work in works],
        "crowd": None,
    }
    if job.in_flight:
        slow = statistics.median(seconds) > job.slow_s
        crowd = plans[: job.slow_crowd if slow else job.crowd]
        outcome["crowd"] = _measure_crowd(way, crowd, job.in_flight)
    return outcome


def _measure_crowd(way: Way, plans: Sequence[Plan], in_flight: int) -> dict[str, Any]:
    label = f"{in_flight} at a time"
    finished: list[float] = []
    say(0, len(plans), label)
    started = time.perf_counter()

    def done() -> None:
        finished.append(time.perf_counter() - started)
        say(len(finished), len(plans), label)

    work = way.answer_all(plans, in_flight, done)
    return {
        "listings": len(plans),
        "seconds": time.perf_counter() - started,
        "finished": sorted(finished),
        "work": asdict(work),
    }


def say(done: int, of: int, what: str) -> None:
    """Tell the benchmark how far this arm is."""
    print(json.dumps({"done": done, "of": of, "what": what}), flush=True)


def peak_memory_mb(pid: int | None = None) -> float:
    """The most memory that a process (this one) and its children have had resident at once, in MB.

    Not getrusage: its maximum survives an exec, so a process would inherit its parent's.
    """
    own = psutil.Process(pid)
    return sum(map(_high_water_mb, [own.pid, *(c.pid for c in own.children(recursive=True))]))


def _high_water_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 / 1e6 if found else 0.0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
