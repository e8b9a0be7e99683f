"""Where the steps of a training are followed."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from accelerate import Accelerator, tracking
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from trainer.errors import TrainingError
from trainer.learning.finetune import StepReport
from trainer.learning.training_log import TrainingLog
from trainer.settings import TrainerSettings


@pytest.fixture(autouse=True)
def device() -> None:
    """As finetune does: accelerate learns its device before the first step is reported."""
    Accelerator(cpu=True)


def report(step: int, loss: float) -> StepReport:
    return StepReport(step, loss, lr=1e-3 / step, tokens=10 * step, seconds=0.5)


def logged(folder: Path, name: str) -> dict[int, float]:
    """The scalar `name` by step, as TensorBoard shows it."""
    shown = EventAccumulator(str(folder / "tensorboard"))
    shown.Reload()
    return {event.step: event.value for event in shown.Scalars(name)}


def test_tensorboard_gets_four_scalars_a_step_in_the_rounds_folder(tmp_path: Path) -> None:
    with TrainingLog("default-r1-a1", TrainerSettings(), tmp_path) as log:
        for step in (1, 2, 3):
            log.step(report(step, 3.0 / step))
    assert logged(tmp_path, "loss") == pytest.approx({1: 3.0, 2: 1.5, 3: 1.0})
    assert logged(tmp_path, "learning_rate")[2] == pytest.approx(5e-4)
    assert logged(tmp_path, "label_tokens") == {1: 10, 2: 20, 3: 30}
    assert logged(tmp_path, "seconds")[3] == 0.5


def test_steps_after_the_last_checkpoint_of_a_killed_process_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files of one second are read by this number, as text: "10" before "9".
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    for steps, loss in ((range(1, 7), 9.0), (range(5, 9), 1.0)):
        with TrainingLog("default-r1-a1", TrainerSettings(), tmp_path) as log:
            for step in steps:
                log.step(report(step, loss))
    assert logged(tmp_path, "loss") == {1: 9, 2: 9, 3: 9, 4: 9, 5: 1, 6: 1, 7: 1, 8: 1}


def test_nothing_is_written_where_nothing_is_wanted(tmp_path: Path) -> None:
    with TrainingLog("default-r1-a1", TrainerSettings(log_to=()), tmp_path) as log:
        log.step(report(1, 1.0))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_said_before_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"names wandb, which is not installed.*\[wandb\]"):
        TrainingLog("default-r1-a1", TrainerSettings(log_to=("wandb",)), tmp_path)


class Recorder:
    """Stands for a tracker of a package that is not installed here."""

    made: ClassVar[list["Recorder"]] = []

    def __init__(self, project: str, **settings: Any) -> None:
        self.project, self.settings = project, settings
        self.seen: list[Any] = []
        Recorder.made.append(self)

    def start(self) -> None:
        if self.settings.get("name") == "refused":
            raise RuntimeError("no API key")
        self.seen.append("start")

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.seen.append(values["rank"])

    def log(self, values: dict[str, float], step: int) -> None:
        self.seen.append((step, values["loss"]))

    def finish(self) -> None:
        self.seen.append("finish")


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Recorder]]:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(tracking, "WandBTracker", Recorder)
    monkeypatch.setattr(tracking, "MLflowTracker", Recorder)
    Recorder.made.clear()
    yield Recorder.made
    Recorder.made.clear()


def test_wandb_and_mlflow_get_the_same_and_a_resumed_round_goes_on_with_its_wandb_run(
    tmp_path: Path, recorders: list[Recorder]
) -> None:
    settings = TrainerSettings(log_to=("wandb", "mlflow"))
    for step in (1, 2):
        with TrainingLog("default-r1-a1", settings, tmp_path) as log:
            log.step(report(step, 1.0))
    first, other, second, _ = recorders
    assert first.seen == other.seen == ["start", 32, (1, 1.0), "finish"]
    assert first.project == other.project == "listune"
    assert first.settings == second.settings
    assert first.settings["name"] == other.settings["run_name"] == "default-r1-a1"


def test_a_tracker_that_does_not_start_is_one_sentence(
    tmp_path: Path, recorders: list[Recorder]
) -> None:
    log = TrainingLog("refused", TrainerSettings(log_to=("wandb",)), tmp_path)
    with pytest.raises(TrainingError, match=r"wandb does not start \(no API key\)"):
        log.step(report(1, 1.0))
