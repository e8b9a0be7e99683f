"""What Python does for a listing besides computing: CPU time of an engine whose passes are free.

Listings are answered once by the decoder that this machine takes, and what came of each row is kept
(`tape`). Then the same engine answers them from there. A request begins as the message that Triton
hands over and ends as the message that it sends back, so that reading and writing these is counted.

CPU time is the whole process's, of all threads, so that neighbours on the machine hardly change it.
Running and drafts are as on a GPU, which is where the host's time is the limit.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from infra.lab.bench.job import peak_memory_mb, say
from infra.lab.bench.serving.tape import Player, Recorder, Tape
from infra.lab.bench.serving.workload import Workload
from schemas.events import Mode
from serving.engine.engine import RUNNING, Engine, MakeBackend, Outcome
from serving.engine.torch_backend import DRAFT_ROWS
from serving.generation import GenerationRequest, GenerationResult
from serving.settings import ServingSettings
from serving.triton.protocol import Generate, decode_message, encode_answer, encode_request


@dataclass(frozen=True)
class HostJob:
    """What is measured of one set of listings.

    Attributes:
        base: a folder. workload: a file.
        listings: so many different ones, each answered alone once a round.
        crowd: so many, the same ones again and again, `in_flight` at a time once a round.
    """

    base: str
    workload: str
    dtype: str = "auto"
    decoder: str = "auto"
    device: str = "auto"
    listings: int = 8
    crowd: int = 128
    in_flight: int = 64
    rounds: int = 5


def carry_out(job: HostJob) -> dict[str, Any]:
    """By mode: CPU milliseconds a listing of each round, alone and in a crowd; and memory.

    Raises:
        AssertionError: a listing has another answer than when it was recorded.
    """
    plans = Workload.read(Path(job.workload)).plans[: job.listings]
    asked = {
        mode: [encode_request(GenerationRequest(*p.question(), mode, 0)) for p in plans]
        for mode in Mode
    }
    tapes: dict[Mode, Tape] = {mode: {} for mode in Mode}
    first: dict[Mode, list[GenerationResult]] = {}
    recorder = Recorder()
    with _engine(job, recorder.over) as engine:
        told = {"dtype": engine.dtype, "decoder": engine.decoder}
        for place, mode in enumerate(Mode):
            say(place, len(Mode), "recording")
            recorder.tape = tapes[mode]
            first[mode] = answers(engine, asked[mode], job.listings)
    player = Player(DRAFT_ROWS["cuda"])
    modes = {}
    with _engine(job, lambda *_: player) as engine:
        for place, mode in enumerate(Mode):
            say(place, len(Mode), "playing")
            player.tape = tapes[mode]
            assert_same(answers(engine, asked[mode], 1), first[mode])
            crowd = list(islice(cycle(asked[mode]), job.crowd))
            rounds = range(job.rounds)
            modes[mode.value] = {
                "alone": [cpu_ms(engine, asked[mode], 1) for _ in rounds],
                "crowd": [cpu_ms(engine, crowd, job.in_flight) for _ in rounds],
            }
    return {"modes": modes, "settings": told, "peak_memory_mb": peak_memory_mb()}


def cpu_ms(engine: Engine, asked: Sequence[bytes], in_flight: int) -> float:
    """The process's CPU time for one of the listings `asked`, in milliseconds."""
    began = time.process_time()
    answers(engine, asked, in_flight)
    return (time.process_time() - began) * 1e3 / len(asked)


def answers(engine: Engine, asked: Sequence[bytes], in_flight: int) -> list[GenerationResult]:
    """The results of messages, always `in_flight` of them at work while there are as many."""
    free = threading.Semaphore(in_flight)
    outcomes: list[Outcome] = [None] * len(asked)  # type: ignore[list-item]

    def taking(place: int) -> Callable[[Outcome], None]:
        def take(outcome: Outcome) -> None:
            encode_answer(outcome)
            outcomes[place] = outcome
            free.release()

        return take

    for place, text in enumerate(asked):
        free.acquire()
        message = decode_message(text)
        assert isinstance(message, Generate)
        engine.submit(message.request(), taking(place))
    for _ in range(in_flight):
        free.acquire()
    results = []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results


def assert_same(played: Sequence[GenerationResult], recorded: Sequence[GenerationResult]) -> None:
    """Whether the same values came of the same confidences: else the tape has lost its place."""
    for one, other in zip(played, recorded, strict=True):
        told = [(r.values, r.invalid, r.confidence) for r in (one, other)]
        assert told[0] == told[1], "what was played is not what was recorded"


@contextmanager
def _engine(job: HostJob, make: MakeBackend) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as store:
        settings = ServingSettings.model_validate(
            {
                "dtype": job.dtype,
                "decoder": job.decoder,
                "device": job.device,
                "adapter_store": Path(store),
                "max_running": RUNNING["cuda"],
            }
        )
        with Engine(settings, job.base, make) as engine:
            yield engine
