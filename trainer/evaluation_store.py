"""Evaluations are kept, so that a parent is judged once however many rounds start from it."""

import hashlib
import json
from pathlib import Path

from serving.adapters import write_file
from trainer.evaluate import Evaluation, EvaluationKey


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

    def path(self, key: EvaluationKey) -> Path:
        """Where the evaluation of `key` is kept."""
        digest = hashlib.sha256(json.dumps(key.model_dump(), sort_keys=True).encode())
        return self._folder / f"{digest.hexdigest()[:32]}.json"
