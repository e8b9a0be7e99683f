"""What came out, in the form of the benchmarks' results: a row a process, a goal a demand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median

from infra.lab.bench.results import ArmResult, BenchResult, Goal, Scalar
from infra.lab.chaos.audit import MOST_EXPIRED, Audit
from infra.lab.chaos.faults import KINDS
from infra.lab.chaos.kills import Killed
from infra.lab.chaos.load import Stored
from infra.lab.chaos.plan import VICTIMS

MOST_MINUTES = 40.0


@dataclass(frozen=True)
class Shooting:
    """What happened while the stack was up.

    triton_down: from and to, in milliseconds since 1970. deaths: of each process, how often it
    ended without having been killed, as a worker may that lost its broker.
    """

    killed: list[Killed]
    stored: Stored
    triton_down: list[tuple[int, int]]
    deaths: Mapping[str, int]

    @property
    def victims(self) -> list[str]:
        """The processes that are killed, further workers of a kind last."""
        return list(dict.fromkeys([*VICTIMS, *(shot.kill.victim for shot in self.killed)]))


def fill(
    begun: BenchResult, told: Mapping[str, Scalar], minutes: float, shot: Shooting, found: Audit
) -> BenchResult:
    """`begun` with its figures; `told` are the settings of the run."""
    waits = sorted(seconds for _, seconds in found.waits)
    answered = {f"sellers_{outcome}": n for outcome, n in sorted(shot.stored.outcomes.items())}
    return replace(
        begun,
        rows=[_row(victim, shot) for victim in shot.victims],
        goals=[
            *(Goal(kind, 0, found.count(kind), at_least=False) for kind in KINDS),
            Goal(
                "expired outside Triton's down-time, share",
                MOST_EXPIRED,
                found.expired_share,
                at_least=False,
            ),
            Goal("minutes in all", MOST_MINUTES, round(minutes, 1), at_least=False),
        ],
        constants={
            **told,
            "kills": len(shot.killed),
            "live_requests": found.requests,
            **{name.replace(" ", "_"): count for name, count in answered.items()},
            "wait_p50_s": waits[len(waits) // 2] if waits else None,
            "wait_p99_s": waits[len(waits) * 99 // 100] if waits else None,
            "reviews": found.reviews,
            "orders_to_measure_again": found.orders,
            "rounds": found.rounds,
            "promotions": found.promotions,
            "canaries": found.canaries,
            "answers_in_arms": found.in_arms,
            "expired": found.expired,
            "expired_with_triton_down": found.expired_with_triton,
            "triton_down_s": round(sum(b - a for a, b in shot.triton_down) / 1000, 1),
            "second_answers_ignored": found.answered_again,
            "second_orders_ignored": found.ordered_again,
            "second_ends_of_rounds_ignored": found.closed_again,
        },
    )


def _row(victim: str, shot: Shooting) -> ArmResult:
    """One process: its kills, and the recoveries that were waited for."""
    kills = [killed for killed in shot.killed if killed.kill.victim == victim]
    recoveries = [killed.recovery_s for killed in kills if killed.recovery_s is not None]
    return ArmResult(
        name=victim,
        figures={
            "kills": len(kills),
            "during_a_recovery": sum(killed.kill.during for killed in kills),
            "recoveries": len(recoveries),
            "median_recovery_s": median(recoveries) if recoveries else None,
            "max_recovery_s": max(recoveries, default=None),
            "deaths_of_its_own": shot.deaths[victim],
        },
        raw={"recovery_s": [round(seconds, 2) for seconds in recoveries]},
    )
