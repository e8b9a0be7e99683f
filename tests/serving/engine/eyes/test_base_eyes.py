"""A base with eyes of its own answers as transformers' generate does with the same pictures."""

import json
import random
from types import SimpleNamespace

import pytest
import torch
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

from infra.local.tiny_model import tiny_tokenizer
from schemas.events import BASE_ADAPTER
from serving.adapter_file import check_adapter, read_adapter, write_adapter
from serving.engine.decoding import Tree, step
from serving.engine.engine import Engine
from serving.engine.eyes.base_eyes import BASES_WITH_EYES, read_processor
from serving.engine.eyes.features import seen_in
from serving.engine.model import linear_shapes, load_base, merge
from serving.errors import AdapterError, ModelRefused, Refused
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.pictures.picture import Picture
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings
from tests.serving.drawn import noise, plain
from tests.serving.engine.test_decoding import (
    assert_exact,
    random_question,
    reference,
    rules,
)
from tests.serving.helpers import EVERY_KIND, adapter_blob, lora_tensors, metadata
from tests.serving.tiny_vision import KINDS, make_tiny_vision_model, pixels_for

PLACES = ("first", "after_category", "last")
# Text, pictures, or both; the shapes of pictures differ, which Qwen3-VL sees.
INPUTS = {
    "text": ("steel kettle, 1.7 l", ()),
    "picture": ("", ((40, 30),)),
    "text and picture": ("matt black kettle", ((24, 40),)),
    "text and two pictures": ("cordless kettle", ((40, 30), (16, 40))),
}


@pytest.fixture(scope="module", params=KINDS)
def seeing(request, tmp_path_factory):
    """The base of a class with eyes, and its folder."""
    folder = make_tiny_vision_model(tmp_path_factory.mktemp(request.param), request.param)
    return load_base(ServingSettings(dtype="float32", device="cpu"), folder), folder


@pytest.fixture(scope="module")
def adapters(seeing):
    """No adapter, and two; each with its merged model."""
    base, _ = seeing
    shapes = linear_shapes(base.model)
    made = [(None, base.model)]
    for seed in (1, 2):
        adapter = read_adapter(adapter_blob(shapes, base.hash, f"a{seed}", seed=seed))
        made.append((adapter, merge(base.model, adapter)))
    return made


@pytest.fixture(scope="module")
def served(decoder, seeing):
    """Skips where the decoder does not serve the base."""
    if decoder == "openvino" and seeing[0].model.config.model_type == "qwen3_vl":
        pytest.skip("its positions have three axes: PyTorch serves it")


@pytest.fixture(scope="module")
def backend(backend_of, served, seeing):
    """Passes over the base with eyes by each decoder that serves it."""
    return backend_of(seeing[0])


@pytest.fixture(scope="module")
def loras(backend, seeing, adapters):
    """The adapters as the decoder computes with them."""
    shapes = linear_shapes(seeing[0].model)
    return [adapter and backend.take(adapter, shapes) for adapter, _ in adapters]


def jobs_of(base, place, repeats=2):
    """A prompt and its pictures of each kind of input, some times over."""
    rng = random.Random(place)
    builder = PromptBuilder(base.vocabulary, ServingSettings(picture_place=place))
    made = []
    for number in range(repeats * len(INPUTS)):
        text, sizes = list(INPUTS.values())[number % len(INPUTS)]
        pictures = [noise(rng.randrange(1000), *size) for size in sizes]
        seen = base.eyes.see(pictures)
        questions = [random_question(rng, n) for n in range(4)]
        listing = Listing(str(number), "Kettles", text)
        tokens = [features.tokens for features in seen]
        made.append((builder.tree(listing, questions, batches=2, pictures=tokens), seen, pictures))
    return made


def expected_of(seeing, model, job):
    base, folder = seeing
    prompt, _, pictures = job
    inputs = pixels_for(base.model.config, folder, pictures)
    return reference(model, base.vocabulary, prompt, inputs=inputs)


def decoded(backend, trees):
    while unfinished := [tree for tree in trees if not tree.done]:
        step(backend, unfinished)
    return [tree.decoded.answers for tree in trees]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_ids_are_those_of_generate_for_text_picture_and_both_in_one_pass(
    seeing, backend, adapters, loras, place
):
    base, _ = seeing
    jobs = jobs_of(base, place)
    chosen = [number % 3 for number in range(len(jobs))]
    trees = [
        Tree(prompt, rules(base), loras[number], seen)
        for (prompt, seen, _), number in zip(jobs, chosen, strict=True)
    ]
    answers = decoded(backend, trees)
    for job, number, ours in zip(jobs, chosen, answers, strict=True):
        _, merged = adapters[number]
        assert_exact(ours, expected_of(seeing, merged, job))


@pytest.mark.slow
def test_a_merged_decoder_gives_the_same_ids(seeing, served, adapters, merging):
    base, _ = seeing
    jobs = jobs_of(base, "after_category", repeats=1)
    adapter, merged = adapters[1]
    backend = merging(base, adapter)
    lora = backend.take(adapter, linear_shapes(base.model))
    trees = [Tree(prompt, rules(base), lora, seen) for prompt, seen, _ in jobs]
    for job, ours in zip(jobs, decoded(backend, trees), strict=True):
        assert_exact(ours, expected_of(seeing, merged, job))


@torch.inference_mode()
@pytest.mark.parametrize("place", PLACES)
def test_teacher_forced_logits_are_those_of_the_whole_model(seeing, backend, place):
    base, folder = seeing
    for prompt, seen, pictures in jobs_of(base, place, repeats=1):
        questions = [segments[0].ids for segments in prompt.branches]
        tree_pass = backend.begin()
        fed = [(number, 0, ids) for number, ids in enumerate(questions)]
        cache = backend.cache(prompt.trunk, len(questions))
        rows = tree_pass.add(cache, prompt.trunk, fed, seen=seen_in(prompt.trunk, seen))
        logits = tree_pass.run(range(len(tree_pass.ids))).logits
        for row, ids in zip(rows, questions, strict=True):
            whole = torch.tensor([[*prompt.trunk.ids, *ids]])
            more = pixels_for(base.model.config, folder, pictures)(whole)
            want = base.model(whole, use_cache=False, **more).logits[0, len(prompt.trunk) :]
            ours = logits[row : row + len(ids)]
            torch.testing.assert_close(ours, want, rtol=1e-4, atol=2e-4)


def test_what_a_picture_shows_and_which_comes_first_decide_answers(seeing, backend):
    base, _ = seeing
    builder = PromptBuilder(base.vocabulary, ServingSettings())
    rng = random.Random(0)
    questions = [random_question(rng, n) for n in range(6)]
    red, other = plain("red"), noise(3)
    given = [(red,), (other,), (red, other), (other, red), ()]
    trees = []
    for pictures in given:
        seen = base.eyes.see(pictures)
        tokens = [features.tokens for features in seen]
        prompt = builder.tree(Listing("1", "Kettles", ""), questions, batches=0, pictures=tokens)
        trees.append(Tree(prompt, rules(base), None, seen))
    answers = decoded(backend, trees)
    told = [tuple(answer.ids for answer in each.values()) for each in answers]
    assert len(set(told)) == len(given)
    assert len({ids for each in told for ids in each}) > 0.5 * len(given) * len(questions)


def expansion(kind, rows):
    """What the model's own processor writes for a picture of so many rows."""
    if kind in ("smolvlm", "idefics3"):
        return get_image_prompt_string(
            0, 0, rows, "<fake_token_around_image>", "<image>", "<global-img>"
        )
    if kind == "internvl":
        own = SimpleNamespace(
            start_image_token="<img>",
            end_image_token="</img>",
            image_token="<IMG_CONTEXT>",
            image_seq_length=rows,
        )
        return InternVLProcessor.replace_image_token(own, {"num_patches": [1]}, 0)
    if kind == "fast_vlm":
        return "<image>" * rows
    # Around it its chat template writes <|vision_start|> and <|vision_end|>.
    return "<|vision_start|>" + "<|image_pad|>" * rows + "<|vision_end|>"


def test_a_picture_is_wrapped_as_the_processor_wraps_it(seeing):
    base, _ = seeing
    for picture in (noise(1), noise(2, 16, 40)):
        [features] = base.eyes.see([picture])
        text = expansion(base.model.config.model_type, len(features.rows))
        assert list(features.tokens.ids) == base.vocabulary.encode(text)
        assert len(features.tokens.rows) == len(features.rows)


def test_a_trunk_has_the_ids_of_its_text_with_the_processors_expansion(seeing):
    base, _ = seeing
    [features] = base.eyes.see([noise(1)])
    builder = PromptBuilder(base.vocabulary, ServingSettings(picture_place="after_category"))
    trunk = builder.trunk(Listing("1", "Kettles", "steel kettle"), pictures=[features.tokens])
    text = expansion(base.model.config.model_type, len(features.rows))
    whole = f"Category: Kettles\n{text}Title: steel kettle\n"
    assert list(trunk.ids) == base.vocabulary.encode(whole)


def test_adapters_belong_to_the_language_part_alone(seeing):
    base, _ = seeing
    names = set(linear_shapes(base.model))
    layers = len(base.model.get_decoder().layers)
    assert len(names) == 7 * layers + 1
    assert not any(part in name for name in names for part in ("vision", "visual", "connector"))


def test_an_adapter_of_the_eyes_is_refused(seeing):
    base, _ = seeing
    linears = {
        name: (module.out_features, module.in_features)
        for name, module in base.model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    served = linear_shapes(base.model)
    of_eyes = {name: shape for name, shape in linears.items() if name not in served}
    tensors = lora_tensors(of_eyes, modules=tuple(of_eyes))
    blob = write_adapter(tensors, metadata(base.hash))
    with pytest.raises(AdapterError, match="the base has no linear module"):
        check_adapter(read_adapter(blob), served, base.hash)


def test_a_picture_goes_through_the_eyes_once(seeing):
    base, _ = seeing
    before = base.eyes.kept.computed
    picture = noise(77)
    [first] = base.eyes.see([picture])
    [again] = base.eyes.see([Picture(picture.data)])
    assert again is first
    assert base.eyes.kept.computed == before + 1


def test_eyes_see_the_same_while_the_model_trains(seeing):
    base, _ = seeing
    picture = noise(78)
    [calm] = base.eyes.see([picture])
    base.model.train()
    try:
        training = base.eyes._compute(picture)
    finally:
        base.model.eval()
    assert torch.equal(calm.rows, training.rows)


def test_a_large_picture_is_shrunk_and_a_slender_one_padded(seeing):
    base, _ = seeing
    for size in ((1200, 900), (384, 2), (1, 384)):
        [features] = base.eyes.see([noise(5, *size)])
        assert 0 < len(features.rows) <= 16
        assert features.rows.isfinite().all()


def test_the_engine_sees_with_the_base_and_with_any_adapter(seeing, tmp_path):
    base, folder = seeing
    settings = ServingSettings(dtype="float32", device="cpu", threads=1, adapter_store=tmp_path)
    adapter = read_adapter(adapter_blob(linear_shapes(base.model), base.hash, "a1"))
    told = set()
    with Engine(settings, folder) as engine:
        engine.push(adapter.id, adapter.hash, adapter.blob)
        for name in (BASE_ADAPTER, adapter.hash):
            for pictures in ((), (noise(1).data,), (noise(2).data, noise(1).data)):
                request = GenerationRequest(
                    Listing("1", "Lamps", ""), EVERY_KIND, adapter_hash=name, pictures=pictures
                )
                result = engine.generate(request)
                assert (result.pictures, result.notes) == (len(pictures), ())
                told.add(tuple(result.confidence.values()))
    assert len(told) == 6


def test_bytes_that_are_no_picture_are_refused(seeing):
    base, _ = seeing
    with pytest.raises(Refused, match="cannot be read"):
        base.eyes.see([Picture(b"no picture")])


PUBLISHED = {
    "smolvlm": {
        "image_processor_type": "SmolVLMImageProcessor",
        "do_image_splitting": True,
        "do_pad": True,
        "max_image_size": {"longest_edge": 512},
        "size": {"longest_edge": 2048},
        "resample": 1,
        "video_sampling": {"fps": 1, "max_frames": 64},
    },
    "idefics3": {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_image_splitting": True,
        "do_pad": True,
        "max_image_size": {"longest_edge": 512},
        "size": {"longest_edge": 2048},
        "resample": 1,
    },
    "internvl": {
        "image_processor_type": "GotOcr2ImageProcessorFast",
        "crop_size": None,
        "crop_to_patches": True,
        "data_format": "channels_first",
        "device": None,
        "max_patches": 12,
        "size": {"height": 448, "width": 448},
    },
    "fast_vlm": {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": {"height": 1024, "width": 1024},
        "size": {"shortest_edge": 1024},
    },
    "qwen3_vl": {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "merge_size": 2,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "size": {"longest_edge": 16777216, "shortest_edge": 65536},
    },
}
"""Settings of image processors as folders on the hub have them."""


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("smolvlm", (1, 1, 3, 512, 512)),
        ("idefics3", (1, 1, 3, 512, 512)),
        ("internvl", (1, 3, 448, 448)),
        ("fast_vlm", (1, 3, 1024, 1024)),
        ("qwen3_vl", (18 * 24, 3 * 2 * 16 * 16)),
    ],
)
def test_a_published_folders_settings_give_one_tile(kind, shape, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PUBLISHED[kind]))
    inputs = read_processor(BASES_WITH_EYES[kind], tmp_path)(noise(1, 384, 288).pixels())
    assert inputs["pixel_values"].shape == shape


def test_a_folder_without_an_image_processor_is_one_sentence(tmp_path):
    folder = make_tiny_vision_model(tmp_path, "internvl")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelRefused, match=r"the image processor in .* cannot be loaded"):
        load_base(ServingSettings(dtype="float32", device="cpu"), folder)


def test_a_tokenizer_without_the_tokens_around_a_picture_is_one_sentence(tmp_path):
    folder = make_tiny_vision_model(tmp_path, "internvl")
    tiny_tokenizer().save_pretrained(folder)
    with pytest.raises(ModelRefused, match="lacks <img>, which stands beside a picture"):
        load_base(ServingSettings(dtype="float32", device="cpu"), folder)
