"""Evaluations are kept, so that a parent is judged once however many rounds start from it."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from schemas.events import listing_sha256
from serving.adapters import write_file
from trainer.evaluate import Evaluation, EvaluationKey

EVALUATIONS = ".evaluations"
"""The store's folder in a registry."""


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
        digest = hashlib.sha256(json.dumps(key.model_dump(), sort_keys=True).encode())
        return self._folder / f"{digest.hexdigest()[:32]}.json"
