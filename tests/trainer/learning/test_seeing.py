"""A round with pictures teaches a text base to see, and disturbs nothing that its parent knew."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from schemas.category import AttributeType
from schemas.events import Mode
from serving.adapter_file import CALIBRATION, AdapterFile, read_adapter, write_adapter
from serving.engine.engine import Engine
from serving.engine.eyes.projector import Projector
from serving.engine.lora import load_lora
from serving.engine.model import Base, linear_shapes, load_base, merge
from serving.engine.seen import Seen
from serving.engine.torch_backend import TorchBackend
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.pictures.picture import Picture
from serving.prompt import PromptBuilder, Trunk
from serving.settings import ServingSettings
from tests.builders import ATTRIBUTES, COLOURS, make_rows
from tests.serving.drawn import plain
from tests.serving.tiny_encoder import make_tiny_encoder
from trainer.data.dataset import Row
from trainer.errors import TrainingError
from trainer.judging.calibrate import Suggestion, calibrate
from trainer.learning import finetune as module
from trainer.learning.averaging import make_candidate
from trainer.learning.finetune import Finetuned, StepReport, finetune
from trainer.learning.learner import parent_projector
from trainer.learning.packing import IGNORED, PackedTree, collate
from trainer.learning.schedule import INVISIBLE, draw_tree, picture_bias
from trainer.learning.strategies import Plan
from trainer.learning.tree_loss import SummedLoss
from trainer.settings import TrainerSettings

pytestmark = pytest.mark.slow

COLOUR = ATTRIBUTES[0]
PICTURES = {colour: plain(colour) for colour in COLOURS}
TRAINER = TrainerSettings(
    rank=4, alpha=8, learning_rate=1e-2, steps=6, batch_size=3, dtype="float32", checkpoint_every=2
)


def coloured(count: int, text: str = "a mug") -> list[Row]:
    """Listings whose colour shows in their picture alone."""
    colours = [COLOURS[number % len(COLOURS)] for number in range(count)]
    return [
        Row(
            Listing(f"c{number}{text}", "Mugs", text),
            (COLOUR,),
            {"colour": [colour]},
            pictures=(PICTURES[colour].sha256,),
        )
        for number, colour in enumerate(colours)
    ]


def pictures_of(row: Row) -> Sequence[Picture]:
    by_hash = {picture.sha256: picture for picture in PICTURES.values()}
    return [by_hash[sha256] for sha256 in row.pictures]


def serving(base: Path, encoder: Path | None, **more: object) -> ServingSettings:
    fixed = {"device": "cpu", "decoder": "torch", "dtype": "float32", "threads": 1, "pictures": 1}
    named = {"base_model": str(base), "encoder": str(encoder or "")}
    return ServingSettings(**fixed, **named, **more)  # type: ignore[arg-type]


class World:
    """A tiny base, a tiny encoder, and trainings on them."""

    def __init__(self, base: Path, encoder: Path, folder: Path) -> None:
        self.base, self.encoder, self.folder = base, encoder, folder
        self.trained = 0

    def train(
        self,
        rows: Sequence[Row],
        parent: AdapterFile | None = None,
        encoder: Path | None = None,
        **changes: object,
    ) -> Finetuned:
        self.trained += 1
        settings = serving(self.base, encoder or self.encoder)
        trainer = TRAINER.model_copy(update=changes)
        folder = self.folder / str(self.trained)
        return finetune(rows, parent, trainer, settings, folder, pictures=pictures_of)


@pytest.fixture
def world(tiny_base: Path, tiny_encoder: Path, tmp_path: Path) -> World:
    return World(tiny_base, tiny_encoder, tmp_path)


def candidate(
    made: Finetuned, name: str = "seeing", parent: AdapterFile | None = None, share: float = 0.0
) -> AdapterFile:
    plan = Plan(parent, [], 1, share)
    blob, _ = make_candidate(made, plan, TRAINER, name, "base", "base")
    return read_adapter(blob)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_what_only_a_picture_shows_is_learnt_and_the_engine_tells_it(world: World) -> None:
    made = world.train([*coloured(3), *coloured(3, text="")], steps=40, batch_size=6)
    assert made.losses[-1].loss < 0.05 < made.losses[0].loss
    adapter = candidate(made)
    settings = serving(world.base, world.encoder, adapter_store=world.folder / "store")
    with Engine(settings, world.base) as engine:
        engine.push(adapter.id, adapter.hash, adapter.blob)
        for text in ("a mug", ""):
            for colour, picture in PICTURES.items():
                listing = Listing("new", "Mugs", text)
                request = GenerationRequest(
                    listing, (COLOUR,), adapter_hash=adapter.hash, pictures=(picture.data,)
                )
                result = engine.generate(request)
                assert (result.values, result.pictures) == ({"colour": [colour]}, 1)


def test_a_round_that_begins_to_see_starts_where_its_blind_parent_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = candidate(world.train(make_rows(5), steps=2), "blind")
    assert parent.sight is None
    for start in (None, parent):
        monkeypatch.setattr(module, "INVISIBLE", -30.0)
        world.train(coloured(3), start, steps=1)
        monkeypatch.setattr(module, "INVISIBLE", 0.0)  # the guard can fail
        with pytest.raises(TrainingError, match="where its parent has"):
            world.train(coloured(3), start, steps=1)


def test_pictures_come_into_sight_over_the_first_fifth_of_the_steps() -> None:
    shares = [math.exp(picture_bias(step, 100)) for step in range(100)]
    assert shares[0] < 0.05
    steps = [later - earlier for earlier, later in pairwise(shares[:21])]
    assert steps == pytest.approx([1 / 21] * 20)
    assert shares[20:] == [1.0] * 80
    assert picture_bias(0, 1) > INVISIBLE


def test_the_next_round_starts_where_a_parent_that_sees_stands(world: World) -> None:
    rows = coloured(9)
    first = world.train(rows, steps=40)
    parent = candidate(first)
    second = world.train(rows, parent, steps=1, learning_rate=1e-6)
    assert second.losses[0].loss < 2 * first.losses[-1].loss + 0.01
    assert second.sight == first.sight
    assert not equal(dict(second.tensors), dict(first.tensors))


def test_a_round_without_pictures_hands_its_parents_projector_on_as_it_was(world: World) -> None:
    parent = candidate(world.train(coloured(3), steps=2))
    made = world.train(make_rows(5), parent, steps=3)
    child = candidate(made, "child", parent, share=0.25)
    assert child.sight == parent.sight
    assert equal(child.projector(), parent.projector())
    assert made.trainable_parameters == sum(
        tensor.numel() for pair in child.pairs().values() for tensor in pair
    )


def test_a_round_without_pictures_from_the_base_makes_an_adapter_that_does_not_see(
    world: World,
) -> None:
    made = world.train(make_rows(5), steps=1)
    assert made.sight is None
    assert candidate(made).projector() == {}


def test_listings_with_and_without_pictures_share_a_step(world: World) -> None:
    made = world.train([*coloured(3), *make_rows(3)], steps=4, batch_size=6, micro_batch_size=2)
    assert made.sight is not None
    assert all(tensor.isfinite().all() for tensor in made.tensors.values())


def test_a_training_with_pictures_resumed_after_a_kill_gives_the_same_adapter(
    world: World,
) -> None:
    rows, settings = coloured(5), serving(world.base, world.encoder)
    whole = world.train(rows)

    class Killed(Exception):
        pass

    def kill(report: StepReport) -> None:
        if report.step == 3:
            raise Killed

    cut = world.folder / "cut"
    with pytest.raises(Killed):
        finetune(rows, None, TRAINER, settings, cut, kill, pictures_of)
    steps: list[int] = []
    resumed = finetune(
        rows, None, TRAINER, settings, cut, lambda r: steps.append(r.step), pictures_of
    )
    assert steps == [3, 4, 5, 6]
    assert equal(dict(resumed.tensors), dict(whole.tensors))


def test_other_pictures_are_another_training(world: World) -> None:
    rows = coloured(3)
    one = world.train(rows, steps=2)
    world.trained = 0  # into the same folder
    other = [replace(row, pictures=(PICTURES["green"].sha256,)) for row in rows]
    assert len(world.train(other, steps=2).losses) == 2
    assert not equal(dict(one.tensors), dict(world.train(other, steps=2).tensors))


def test_a_parent_that_sees_through_another_encoder_is_refused(
    world: World, tmp_path: Path
) -> None:
    parent = candidate(world.train(coloured(3), steps=1))
    other = make_tiny_encoder(tmp_path / "other", seed=1)
    with pytest.raises(TrainingError, match=r"sees through the encoder tiny .*, here is tiny"):
        world.train(coloured(3), parent, encoder=other, steps=1)


def test_two_adapters_that_see_are_averaged_weight_by_weight(world: World) -> None:
    parent = candidate(world.train(coloured(3), steps=2))
    made = world.train(coloured(3), parent, steps=2, seed=1)
    alone, averaged = candidate(made, "alone"), candidate(made, "averaged", parent, share=0.25)
    for name, tensor in averaged.projector().items():
        expected = 0.25 * parent.projector()[name] + 0.75 * alone.projector()[name]
        torch.testing.assert_close(tensor, expected)


def test_a_child_that_sees_keeps_its_projector_beside_a_parent_that_does_not(world: World) -> None:
    parent = candidate(world.train(make_rows(5), steps=2), "blind")
    made = world.train(coloured(3), parent, steps=2)
    averaged = candidate(made, "averaged", parent, share=0.25)
    assert equal(averaged.projector(), candidate(made).projector())


def test_engine_and_trainer_see_the_same(world: World) -> None:
    """Teacher-forced, a merged adapter's own decoder against the loss that trains."""
    adapter = candidate(world.train(coloured(9), steps=10))
    settings = serving(world.base, world.encoder)
    base = load_base(settings, world.base)
    row = coloured(1, "")[0]
    seen = base.eyes.see(pictures_of(row)) if base.eyes else []
    builder = PromptBuilder(base.vocabulary, settings)
    tree = draw_tree(row, 0, builder, TRAINER, seen)
    projector = parent_projector(base, adapter)
    assert projector is not None
    ours = served_logits(base, adapter, tree, projector)
    taught = [place for place, label in enumerate(tree.labels) if label != IGNORED]
    labels = torch.tensor([tree.labels[place] for place in taught])
    expected = functional.cross_entropy(ours[[place - 1 for place in taught]], labels)
    with torch.no_grad():
        loss = SummedLoss(merge(base.model, adapter), projector)(collate([tree]))
    torch.testing.assert_close(loss / len(taught), expected, rtol=0, atol=1e-4)


@torch.no_grad()
def served_logits(
    base: Base, adapter: AdapterFile, tree: PackedTree, projector: Projector
) -> torch.Tensor:
    """The engine's logits at each token of a tree with one branch: (tokens, vocabulary)."""
    size = tree.branches.index(1)
    trunk = Trunk(tuple(tree.ids[:size]), tree.positions[:size], tree.positions[size], tree.seen)
    rows = projector(torch.stack([picture.rows for picture in tree.pictures])).flatten(0, 1)
    seen = Seen(torch.tensor(tree.seen), rows)
    lora = load_lora(
        adapter, linear_shapes(base.model), base.decoder.shape.head_size, base.dtype, base.device
    )
    backend = TorchBackend(base.decoder)
    tree_pass = backend.begin()
    cache = backend.cache(trunk, 1)
    tree_pass.add(cache, trunk, [(0, 0, tree.ids[size:])], lora, seen)
    return tree_pass.run(range(len(tree.ids))).logits


def test_writing_an_adapter_anew_with_a_calibration_keeps_what_it_sees_with(world: World) -> None:
    trained = candidate(world.train(coloured(3), steps=1))
    examples = {mode: [Suggestion(AttributeType.ENUM, 0.9, True)] for mode in Mode}
    calibration = calibrate(examples, cost_of_wrong=0.25)
    header = {**trained.metadata, CALIBRATION: calibration.model_dump_json()}
    calibrated = read_adapter(write_adapter(trained.tensors(), header))
    assert calibrated.sight == trained.sight
    assert equal(calibrated.projector(), trained.projector())
