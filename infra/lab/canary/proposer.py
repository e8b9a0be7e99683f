"""The trainer's part: each round that is ordered is answered with a made-up adapter at once.

The adapter is a small random one that fits the tiny model: the engine loads it, serves it and lets
it go like any other. How good sellers find it is told by `acceptance`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from transformers import AutoModelForCausalLM

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from schemas.topic_names import MODEL_EVENTS
from serving.adapter_file import blob_hash, write_adapter
from serving.base_hash import base_hash
from serving.engine.model import linear_shapes
from streams.kafka.control_log import ControlLog, ControlRecord
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings
from trainer.results import adapter_id

RANK, MODULES = 4, ("q_proj", "v_proj")
CHAMPION = 0.5
"""How often a suggestion of the champion is accepted."""


class Proposer:
    """Proposes an adapter a round, as good as `plan` says, until the plan is done."""

    def __init__(
        self, settings: StreamsSettings, base: Path, folder: Path, plan: Sequence[float]
    ) -> None:
        """`plan`: how often suggestions are accepted, of one adapter after the other."""
        self._plan, self._folder, self._base = list(plan), folder, base
        self._acceptance: dict[str, float] = {}
        self._shapes = linear_shapes(AutoModelForCausalLM.from_pretrained(base))
        self._base_hash = base_hash(base)
        self._publisher = Publisher(settings, client_id="made-up-trainer")
        self._log = ControlLog(settings, [self._take])
        self.started = self.ended = 0
        """Canaries that have begun, and those that are over."""

    def __enter__(self) -> Self:
        self._log.start()
        self._log.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
        self._publisher.close()

    def acceptance(self, adapter_hash: str) -> float:
        """How often a suggestion of this adapter is accepted."""
        return self._acceptance.get(adapter_hash, CHAMPION)

    def check(self) -> None:
        """Raises what the log's thread failed with."""
        self._log.check()

    def _take(self, record: ControlRecord) -> None:
        event = record.event
        if isinstance(event, RetrainRequest) and self._plan:
            self._propose(event)
        elif isinstance(event, ModelEvent) and event.kind is ModelEventKind.EXPERIMENT_STARTED:
            self.started += 1
        elif isinstance(event, ModelEvent) and event.kind in (
            ModelEventKind.EXPERIMENT_ENDED,
            ModelEventKind.PROMOTED,
        ):
            self.ended += 1

    def _propose(self, request: RetrainRequest) -> None:
        name = adapter_id(request)
        blob = self._adapter(name, request)
        path = self._folder / name / "adapter.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(blob)
        self._acceptance[blob_hash(blob)] = self._plan.pop(0)
        for kind in (ModelEventKind.STARTED, ModelEventKind.PUBLISHED, ModelEventKind.PROPOSED):
            event = ModelEvent(
                kind=kind,
                pool=request.pool,
                round=request.round,
                attempt=request.attempt,
                adapter_id=name,
                adapter_hash=blob_hash(blob),
                adapter_uri=str(path),
                parent_id=request.parent_id,
                parent_hash=request.parent_hash,
                worker="made-up-trainer",
            )
            self._publisher.send(MODEL_EVENTS, event.key(), event.to_bytes()).result(30.0)

    def _adapter(self, name: str, request: RetrainRequest) -> bytes:
        dice = torch.Generator().manual_seed(request.round)
        tensors = {}
        for module, (out, inner) in self._shapes.items():
            if module.endswith(MODULES):
                prefix = f"base_model.model.{module}"
                tensors[f"{prefix}.lora_A.weight"] = torch.randn(RANK, inner, generator=dice)
                down = torch.randn(out, RANK, generator=dice) * 0.1
                tensors[f"{prefix}.lora_B.weight"] = down
        peft = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 8}
        peft |= {"base_model_name_or_path": None, "bias": "none", "target_modules": [*MODULES]}
        header = {
            "adapter_id": name,
            "parent_id": request.parent_id,
            "parent_hash": request.parent_hash,
            "base_hash": self._base_hash,
            "rank": RANK,
            "alpha": 8,
            "peft_config": json.dumps(peft),
        }
        return write_adapter(tensors, header)
