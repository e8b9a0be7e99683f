"""How large the check is, and where its files are: what each stage's process is told."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REFERENCE, WORKLOAD, ROWS, EXAMPLES = (
    "reference.json",
    "workload.json",
    "rows.jsonl",
    "examples.json",
)
"""The files in the parts."""

BATCHES = 4
"""B of what is trained on, as in the training benchmark's goals."""


@dataclass(frozen=True)
class Sizes:
    """How much is asked of the machine.

    Attributes:
        compared: listings whose answers are compared with the CPU's, in each mode.
        listings: of the workload, each of `attributes` questions.
        in_flight: listings at a time, one measurement each.
        alone: listings answered one at a time.
        crowd_s: seconds that a crowd is measured for, about.
        crowd_most: and listings at most.
        naive: listings by `generate`.
        adapters: the most that a crowd is answered by.
        rank: of adapters of the real base, and of what is trained.
        random_rank: of adapters of the random one.
        random_shape: of that base, as its `LlamaConfig` takes it.
        random_cap: a random model does not know when to stop, so that its answers always reach
            their caps: this one, which is about as many passes as trained ones need.
        train_tokens: of a step's packed trees, about.
        train_steps: measured of each trainer.
        train_budget_s: seconds of them at most.
        trl_sizes: examples a micro batch that TRL is tried with.
        loss_listings, loss_steps: of the loss curve that is compared with the CPU's.
    """

    compared: int
    listings: int
    attributes: int
    in_flight: tuple[int, ...]
    alone: int
    crowd_s: float
    crowd_most: int
    naive: int
    adapters: int
    rank: int
    random_rank: int
    random_shape: dict[str, Any]
    random_cap: int
    train_tokens: int
    train_steps: int
    train_budget_s: float
    trl_sizes: tuple[int, ...]
    loss_listings: int
    loss_steps: int


FULL = Sizes(
    compared=6,
    listings=33,
    attributes=50,
    in_flight=(1, 8, 64),
    alone=32,
    crowd_s=8.0,
    crowd_most=2048,
    naive=2,
    adapters=32,
    rank=32,
    random_rank=16,
    # SmolLM2-1.7B's: https://huggingface.co/HuggingFaceTB/SmolLM2-1.7B/blob/main/config.json
    random_shape={
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 130000.0},
        "tie_word_embeddings": True,
    },
    random_cap=12,
    train_tokens=8192,
    train_steps=8,
    train_budget_s=15.0,
    trl_sizes=(16, 64),
    loss_listings=2,
    loss_steps=4,
)

REHEARSAL = Sizes(
    compared=2,
    listings=3,
    attributes=4,
    in_flight=(1, 2),
    alone=1,
    crowd_s=0.0,
    crowd_most=2,
    naive=1,
    adapters=2,
    rank=4,
    random_rank=4,
    random_shape={
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "initializer_range": 0.4,
    },
    random_cap=4,
    train_tokens=256,
    train_steps=1,
    train_budget_s=5.0,
    trl_sizes=(2,),
    loss_listings=2,
    loss_steps=2,
)

SIZES = {"full": FULL, "rehearsal": REHEARSAL}


@dataclass(frozen=True)
class Place:
    """Folders of the parts, of the base model and for what is made meanwhile; the device to run on,
    `cuda` or `cpu`; and which of `SIZES`."""

    parts: str
    base: str
    work: str
    device: str = "cuda"
    size: str = "full"

    @property
    def sizes(self) -> Sizes:
        """How much is asked."""
        return SIZES[self.size]

    def part(self, name: str) -> Path:
        """A file of the parts."""
        return Path(self.parts) / name

    def made(self, name: str) -> Path:
        """A file or folder that a stage makes, in a folder that is there."""
        Path(self.work).mkdir(parents=True, exist_ok=True)
        return Path(self.work) / name

    def write(self, path: Path) -> None:
        """Keep it for a stage's process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Place":
        """What `write` kept."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
