"""What an adapter answered is kept, so that nothing is asked twice.

    <registry>/.evaluations/<key>.json   an adapter's scores on one list of listings
               .answers/<key>.json       its answers, listing by listing

The held-out listings follow the stream: of the next round's most have been answered by the parent
already, and what sellers make of them may have changed. So answers are kept apart from scores, by
what they depend on.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from schemas.events import listing_sha256
from serving.generation import GenerationResult
from serving.process.files import write_file
from trainer.judging.evaluate import Evaluation, EvaluationKey


class Answered(BaseModel):
    """An answer, and how long it took by the wall clock: with others in flight less than alone."""

    result: GenerationResult
    wall_seconds: float


_ANSWERS = TypeAdapter(dict[str, Answered])


class EvaluationStore:
    """Evaluations by their key, one JSON file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: EvaluationKey) -> Evaluation | None:
        """The evaluation kept under `key`, if there is one."""
        path = self.path(key)
        return Evaluation.model_validate_json(path.read_bytes()) if path.exists() else None

    def put(self, evaluation: Evaluation) -> None:
        """Keep `evaluation` in the place of an earlier one with the same key."""
        write_file(self.path(evaluation.key), evaluation.model_dump_json().encode())

    def erase(self, forgotten: Collection[str]) -> int:
        """Removes evaluations with answers about forgotten listings; how many.

        They are made anew when they are asked for, on the listings that are there then.
        """
        removed = 0
        for path in self._folder.glob("*.json"):
            listings = json.loads(path.read_bytes())["listings"]
            if any(listing_sha256(score["listing_id"]) in forgotten for score in listings):
                path.unlink()
                removed += 1
        return removed

    def path(self, key: EvaluationKey) -> Path:
        """Where the evaluation of `key` is kept."""
        return self._folder / f"{_digest(key)}.json"


class AnswerStore:
    """Answers by adapter, settings and `data.dataset.question_hash`; one JSON file an adapter
    and settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: EvaluationKey) -> dict[str, Answered]:
        """All answers kept under `key`, on whatever listings."""
        path = self._path(key)
        return _ANSWERS.validate_json(path.read_bytes()) if path.exists() else {}

    def put(self, key: EvaluationKey, answers: Mapping[str, Answered]) -> None:
        """Keep `answers` beside those that are kept already."""
        kept = self.get(key) | dict(answers)
        write_file(self._path(key), _ANSWERS.dump_json(kept))

    def erase(self, forgotten: Collection[str]) -> int:
        """Removes the answers about forgotten listings (SHA-256 of their ids); how many."""
        removed = 0
        for path in self._folder.glob("*.json"):
            answers = json.loads(path.read_bytes())
            kept = {of: a for of, a in answers.items() if of.partition("-")[0] not in forgotten}
            if len(kept) < len(answers):
                write_file(path, json.dumps(kept).encode())
                removed += len(answers) - len(kept)
        return removed

    def _path(self, key: EvaluationKey) -> Path:
        return self._folder / f"{_digest(key.model_copy(update={'heldout_hash': ''}))}.json"


@dataclass(frozen=True)
class Kept:
    """All that is kept of a registry's adapters, or of an experiment's."""

    evaluations: EvaluationStore
    answers: AnswerStore

    @classmethod
    def of_registry(cls, folder: Path) -> "Kept":
        """What is kept beside the adapters of the registry in `folder`."""
        return cls(EvaluationStore(folder / ".evaluations"), AnswerStore(folder / ".answers"))


def _digest(key: EvaluationKey) -> str:
    content = json.dumps(key.model_dump(), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
