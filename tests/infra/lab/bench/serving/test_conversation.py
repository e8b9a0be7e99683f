"""The conversation with a server that has a prefix cache: what is asked when."""

from collections.abc import Sequence

from infra.lab.bench.serving.conversation import Server
from infra.lab.bench.serving.workload import Workload


class Echo(Server):
    """A server that answers every prompt with two tokens and a stop, a token a step."""

    def __init__(self, workload: Workload, prompting: str) -> None:
        super().__init__(workload, {"prompting": prompting})
        self.stop = workload.stop_ids[0]
        self.prompts: list[list[int]] = []
        self.waiting: list[list[int]] = []
        self.together: list[int] = []

    def ask(self, ids: Sequence[int], cap: int, stops: Sequence[int]) -> "EchoAsked":
        self.prompts.append(list(ids))
        new: list[int] = []
        self.waiting.append(new)
        return EchoAsked(new, 3 if stops else cap)

    def step(self) -> None:
        self.together.append(sum(len(new) < 3 for new in self.waiting))
        for new in self.waiting:
            new.append(self.stop if len(new) == 2 else 500)


class EchoAsked:
    def __init__(self, new: list[int], length: int) -> None:
        self.new, self.length = new, length

    def started(self) -> bool:
        return bool(self.new)

    def answer(self) -> list[int] | None:
        return self.new[: self.length] if len(self.new) >= self.length else None


def test_all_prompts_of_a_listing_follow_once_the_trunk_is_cached(workload: Workload) -> None:
    server = Echo(workload, "0")
    plan = workload.plans[0]
    cost = server.answer(plan)
    assert server.together[:2] == [1, 8]
    assert sorted(server.prompts) == sorted([*plan.trunk, *q] for q in plan.questions)
    assert cost.tokens_generated == 8 * 3


def test_a_branchs_next_prompt_holds_its_answers_so_far(workload: Workload) -> None:
    server = Echo(workload, "1")
    plan = workload.plans[0]
    server.answer(plan)
    wanted = list(plan.trunk)
    for question, prompt in zip(plan.branches["1"][0], server.prompts, strict=True):
        wanted += plan.questions[question]
        assert prompt == wanted
        wanted += [500, 500, workload.newline]


def test_so_many_listings_are_in_flight_and_all_are_answered(workload: Workload) -> None:
    finished: list[int] = []
    server = Echo(workload, "json")
    server.answer_all(workload.plans, 2, lambda: finished.append(1))
    assert len(finished) == len(server.prompts) == 3
