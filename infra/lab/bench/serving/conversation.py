"""Listings through a general inference server, one prompt after another, as a client would.

`json`: one prompt a listing, everything at once. Else B branches: each question is a prompt of its
own, made of the trunk and of what its branch holds so far, so that the server's prefix cache has
all but the last question. With B = |A| all prompts of a listing are there at once; the first one
goes ahead until the trunk is in the cache, and the others follow. So it is with `schema`, where all
questions stand before the product, in the cache for all listings of a category, and a prompt asks
by a name alone. Fewer branches take turns: the
next question of a branch is asked when its last one is answered, since the server writes no names
by itself.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from infra.lab.bench.results import Options
from infra.lab.bench.serving.arm import AnswerCost
from infra.lab.bench.serving.workload import ListingPlan, Workload

JSON = "json"
SCHEMA_FIRST = "schema"


class Asked(Protocol):
    """One prompt at a server."""

    def started(self) -> bool:
        """Whether its first token is there, and so its prompt in the cache."""
        ...

    def answer(self) -> list[int] | None:
        """The new tokens once it has ended, else None."""
        ...


class Server(ABC):
    """A way by a server with continuous batching and a prefix cache, driven step by step."""

    def __init__(self, workload: Workload, options: Options) -> None:
        """Options: `prompting`, `json`, `schema` or a key of the plans' `branches`."""
        self._workload = workload
        self._prompting = str(options["prompting"])

    @abstractmethod
    def ask(self, ids: Sequence[int], cap: int, stops: Sequence[int]) -> Asked:
        """Queue a prompt for at most `cap` new tokens; without `stops` it writes exactly `cap`."""

    @abstractmethod
    def step(self) -> None:
        """Compute one forward pass."""

    def answer(self, plan: ListingPlan) -> AnswerCost:
        """Answer one listing, alone."""
        return self.answer_all([plan])

    def answer_all(
        self,
        plans: Sequence[ListingPlan],
        in_flight: int = 1,
        done: Callable[[], None] = lambda: None,
    ) -> AnswerCost:
        """Answer `plans`, `in_flight` listings at a time, calling `done` after each."""
        waiting = deque(plans)
        live: list[_Conversation] = []
        steps = generated = 0
        while waiting or live:
            while waiting and len(live) < in_flight:
                plan = waiting.popleft()
                live.append(_Conversation(self, self._workload, plan, self._prompting))
            self.step()
            steps += 1
            still = []
            for conversation in live:
                if conversation.advance():
                    generated += conversation.generated
                    done()
                else:
                    still.append(conversation)
            live = still
        return AnswerCost(forward_passes=steps, tokens_generated=generated)


class _Branch:
    """One branch: its tokens so far and the questions that are still to come."""

    def __init__(self, ids: list[int], questions: Sequence[int]) -> None:
        self.ids = ids
        self.questions = deque(questions)
        self.asked: Asked | None = None


class _Conversation:
    """One listing on its way."""

    def __init__(
        self, server: Server, workload: Workload, plan: ListingPlan, prompting: str
    ) -> None:
        self._server = server
        self._workload = workload
        self._plan = plan
        self._json = prompting == JSON
        self.generated = 0
        self._branches: list[_Branch] = []
        if self._json:
            self._branches = [_Branch(list(plan.json_prompt), [])]
            ids, tokens = plan.json_prompt, plan.json_tokens
            self._branches[0].asked = server.ask(ids, tokens, ())
            return
        trunk, self._questions, branches = plan.trunk, plan.questions, prompting
        if prompting == SCHEMA_FIRST:
            trunk, self._questions, branches = plan.schema_trunk, plan.names, "0"
        self._branches = [_Branch(list(trunk), b) for b in plan.branches[branches]]
        self._ask(self._branches[0])
        self._trunk_is_there = len(self._branches) == 1

    def advance(self) -> bool:
        """Take the answers that have come and ask what follows; whether all is answered."""
        if not self._json and not self._trunk_is_there:
            first = self._branches[0].asked
            if first is None or not first.started():
                return False
            self._trunk_is_there = True
            for branch in self._branches[1:]:
                self._ask(branch)
        for branch in self._branches:
            answer = branch.asked.answer() if branch.asked else None
            if answer is None:
                continue
            self.generated += len(answer)
            branch.asked = None
            if branch.questions:
                told = [token for token in answer if token not in self._stops]
                branch.ids += [*told, self._workload.newline]
                self._ask(branch)
        return all(branch.asked is None for branch in self._branches)

    @property
    def _stops(self) -> list[int]:
        return self._workload.stop_ids

    def _ask(self, branch: _Branch) -> None:
        question = branch.questions.popleft()
        branch.ids += self._questions[question]
        cap = self._plan.caps[question]
        branch.asked = self._server.ask(branch.ids, cap, self._stops)
