"""The model at work: adapters trained and asked, each under the fingerprint of what it depends on.

    <folder>/adapters/<fingerprint>/   adapter.safetensors, losses.jsonl, trained.json
             evaluations/              scores of an adapter on a list of listings
             answers/                  its answers, listing by listing
             losses/                   losses of an adapter on a list of listings

Nothing is computed twice, by this run or by the one before it. Training and answering take turns:
on a CPU the engine is closed while there is training, since threads that only wait for each other
make both slower (see `serving.engine.passing_thread`).
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer

from infra.lab.experiment.progress import Work
from infra.lab.experiment.training import ADAPTER, TRAINED, Made, Training, train
from schemas.events import BASE_ADAPTER, Mode
from serving.adapter_file import AdapterFile
from serving.engine.passing_thread import in_passing
from serving.engine.precision import choose_dtype
from serving.process.files import write_file
from serving.process.memory import give_back
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings, fields_that_change
from serving.vocabulary import Vocabulary
from trainer.data.dataset import Row, rows_hash
from trainer.data.pictures import RowPictures
from trainer.judging import arms
from trainer.judging.evaluate import Evaluation
from trainer.judging.evaluation_store import AnswerStore, EvaluationStore, Kept
from trainer.judging.judge import Judge, LazyEngine
from trainer.learning.listing_losses import listing_losses
from trainer.learning.strategies import Plan
from trainer.learning.teachable import taught_by
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)


class Lab:
    """Use as a context manager: what is loaded is loaded when first needed."""

    def __init__(
        self,
        folder: Path,
        in_flight: int,
        serving: ServingSettings,
        work: Work,
    ) -> None:
        """`serving.base_model` is a folder; `in_flight` listings are asked for at once."""
        self._folder = folder
        self._kept = Kept(EvaluationStore(folder / "evaluations"), AnswerStore(folder / "answers"))
        self._in_flight = in_flight
        self._work = work
        own = {
            "adapter_store": folder / "engine",
            "max_queue": max(serving.max_queue, in_flight),
            "max_running": in_flight,
            # One adapter is asked for many listings: merged it answers faster, and its answers are
            # kept, so that merging at another moment, which rounds otherwise, changes none.
            "max_merged": 1,
        }
        self.serving = serving.model_copy(update=own)
        self._on_gpu = serving.device != "cpu" and torch.cuda.is_available()
        self._engine = LazyEngine(self.serving)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def judge(
        self, adapter: AdapterFile | None, rows: Sequence[Row], mode: Mode = Mode.FREE
    ) -> Evaluation:
        """The answers of `adapter` (None: the base) on `rows`, at least one, and their scores.

        Raises:
            EngineError: the adapter does not fit the base, or generating failed.
        """
        [found] = self.answered(rows, lambda judge: arms.adapter_arm(judge, adapter), mode).values()
        return found

    def answered(
        self,
        rows: Sequence[Row],
        ask: Callable[[Judge], dict[str, Evaluation]],
        mode: Mode = Mode.FREE,
    ) -> dict[str, Evaluation]:
        """What `ask` finds with a judge on `rows` who asks in `mode`.

        Raises:
            EngineError: an adapter does not fit the base, or generating failed.
        """
        judge = Judge(
            rows,
            self.serving.model_copy(update={"mode": mode}),
            self._engine,
            self._kept,
            self._in_flight,
            lambda stage, done, total: self._work.done(),
        )
        found = ask(judge)
        self._work.spared(len(found) * len(rows) - judge.asked)
        if judge.asked:
            asked = ", ".join(found)
            logger.info("asked %s: %d listings in %.0f s", asked, judge.asked, judge.seconds)
        return found

    def losses(
        self, adapter: AdapterFile | None, rows: Sequence[Row], settings: TrainerSettings
    ) -> list[float]:
        """The loss of each of `rows` under `adapter` (None: the base), nats a label token.

        Raises:
            ModelRefused: the base cannot be used.
        """
        name = fingerprint(
            adapter.hash if adapter else BASE_ADAPTER,
            self._engine.base_hash,
            rows_hash(rows),
            [settings.seed, settings.max_length, self.serving.dtype],
            self.serving.model_dump(
                mode="json", include=fields_that_change(ServingSettings, "training")
            ),
        )
        path = self._folder / "losses" / f"{name}.json"
        if path.exists():
            self._work.spared(len(rows))
        else:
            self._make_way()
            found = in_passing(
                lambda: listing_losses(
                    rows,
                    adapter,
                    settings,
                    self.serving,
                    lambda done, total: self._work.done(),
                    RowPictures.of_settings(self.serving).of,
                )
            )
            write_file(path, json.dumps(found).encode())
        return [float(loss) for loss in json.loads(path.read_bytes())]

    def train(self, plan: Plan, settings: TrainerSettings) -> Made:
        """The adapter that `plan` gives under `settings`, trained now or found.

        Raises:
            TrainingError: it cannot be trained.
        """
        settings = settings.model_copy(update={"steps": plan.steps})
        listings = plan.steps * settings.batch_size
        name = fingerprint(
            "adapter",
            self._engine.base_hash,
            settings.model_dump(
                mode="json", include=fields_that_change(TrainerSettings, "training")
            ),
            self.serving.model_dump(
                mode="json", include=fields_that_change(ServingSettings, "training")
            ),
            plan.start.hash if plan.start else BASE_ADAPTER,
            plan.parent_share,
            [taught_by(row, settings) for row in plan.rows],
        )
        folder = self._folder / "adapters" / name
        if (folder / ADAPTER).exists():
            self._work.spared(listings)
        else:
            self._make_way()
            done = partial(self._work.done, settings.batch_size)
            train(plan, settings, self.serving, folder, name, done)
        training = Training.model_validate_json((folder / TRAINED).read_bytes())
        return Made(folder / ADAPTER, training)

    def steps_for(self, label_tokens: int, rows: Sequence[Row], batch_size: int) -> int:
        """How many steps on `rows` train about `label_tokens`; at least one."""
        tokenizer = AutoTokenizer.from_pretrained(self.serving.base_model)
        builder = PromptBuilder(Vocabulary(tokenizer), self.serving)
        answers = [row.answer(attribute) for row in rows for attribute in row.filled()]
        a_listing = sum(len(builder.answer(answer)) for answer in answers) / len(rows)
        return max(round(label_tokens / (a_listing * batch_size)), 1)

    def _make_way(self) -> None:
        """Close the engine where it would be in the way of another that computes."""
        if not self._on_gpu:
            self._close()

    def _close(self) -> None:
        self._engine.close()
        give_back()


def measured_dtype(base: Path, serving: ServingSettings, rows: int) -> str:
    """The faster number type here for products of `rows` tokens, if `serving.dtype` is auto."""
    on_gpu = serving.device != "cpu" and torch.cuda.is_available()
    config = AutoConfig.from_pretrained(base).get_text_config()
    shape = (config.hidden_size, getattr(config, "intermediate_size", 4 * config.hidden_size))
    device = torch.device("cuda" if on_gpu else "cpu")
    chosen = in_passing(lambda: choose_dtype(serving.dtype, device, shape, rows))
    return str(chosen).removeprefix("torch.")


def fingerprint(*parts: Any) -> str:
    """24 hexadecimal digits that stand for `parts`, which are plain data."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
