"""Tree decoding gives the same token ids as transformers' generate does branch by branch."""

import random
from dataclasses import replace
from functools import cache
from math import exp
from weakref import ref

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from schemas.category import Attribute, AttributeType
from serving.adapter_file import read_adapter
from serving.engine.branch import Rules
from serving.engine.constraints import Constraints
from serving.engine.decoding import Tree, step
from serving.engine.lora import load_lora
from serving.engine.model import linear_shapes, load_base, merge
from serving.engine.torch_backend import TorchBackend
from serving.engine.tree_cache import TRUNK_ROWS
from serving.listing import Listing
from serving.prompt import PromptBuilder, PromptTree, Trunk
from serving.settings import ServingSettings
from tests.serving.helpers import COLOUR, WASHABLE, adapter_blob

CAP = 8
NARROW = 1e-3  # a reference's top-2 margin below which a difference is rounding
WORDS = [
    "steel",
    "blue",
    "kettle",
    "1.7",
    "l",
    "cordless",
    "matt",
    "black",
    "light",
    "cotton",
    "shirt",
    "24",
    "months",
    "yes",
    "no",
]


@pytest.fixture(scope="session")
def builder(base):
    return PromptBuilder(base.vocabulary, ServingSettings())


@pytest.fixture(scope="session")
def adapters(base, shapes):
    """No adapter, and two that change different modules; each with its merged model."""
    made = [(None, base.model)]
    for seed in (1, 2):
        adapter = read_adapter(adapter_blob(shapes, base.hash, f"a{seed}", seed=seed))
        made.append((adapter, merge(base.model, adapter)))
    return made


@pytest.fixture(scope="session")
def loras(backend, shapes, adapters):
    """The adapters as the decoder computes with them."""
    return [adapter and backend.take(adapter, shapes) for adapter, _ in adapters]


def random_question(rng, number):
    values = tuple(dict.fromkeys(" ".join(rng.sample(WORDS, 2)) for _ in range(3)))
    return Attribute(name=f"{rng.choice(WORDS)} {number}", type=AttributeType.ENUM, values=values)


def random_tree(builder, seed, batches, attributes=(4, 9)):
    rng = random.Random(seed)
    text = " ".join(rng.choices(WORDS, k=rng.randint(3, 60)))
    asked = [random_question(rng, n) for n in range(rng.randint(*attributes))]
    return builder.tree(Listing(str(seed), "Kettles", text), asked, batches=batches)


def rules(base, cap=CAP):
    return Rules(base.vocabulary, lambda _: cap)


def decode_by(backend, tree, rules):
    """What becomes of one tree by itself."""
    job = Tree(tree, rules)
    while not job.done:
        step(backend, [job])
    return job.decoded


def decode(backend, base, tree, cap=CAP):
    return decode_by(backend, tree, rules(base, cap))


@pytest.fixture
def no_drafts(backend, monkeypatch):
    monkeypatch.setattr(backend, "draft_rows", 0)


def all_given_back(backend):
    """Whether no tree holds pages or blocks; PyTorch keeps a page of zeros."""
    if isinstance(backend, TorchBackend):
        return backend.pages.free == backend.pages.count - 1
    return backend.blocks.free == backend.blocks.count


def reference(model, vocabulary, tree, cap=CAP, inputs=lambda prompt: {}):
    """Answer ids, log probability and the margins of each step, by the definition of a branch.

    `inputs` are what a vision-language model takes besides the prompt (1, n).
    """
    config = GenerationConfig(
        max_new_tokens=cap,
        do_sample=False,
        eos_token_id=sorted(vocabulary.stop_ids),
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    answers = {}
    for branch in tree.branches:
        ids = list(tree.trunk.ids)
        for segment in branch:
            ids += segment.ids
            prompt = torch.tensor([ids])
            output = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=config,
                **inputs(prompt),
            )
            new = output.sequences[0, len(ids) :].tolist()
            logits = torch.cat(output.logits)
            chosen = logits.log_softmax(-1)[range(len(new)), new].sum().item()
            top = logits.topk(2).values
            margins = (top[:, 0] - top[:, 1]).tolist()
            kept = new[:-1] if new[-1] in vocabulary.stop_ids else new
            answers[segment.attribute.name] = (tuple(kept), chosen, margins)
            ids += [*kept, vocabulary.newline]
    return answers


def assert_exact(answers, expected):
    """The answers are the reference's, up to a first choice that rounding may decide."""
    assert answers.keys() == expected.keys()
    for name, (ids, log_probability, margins) in expected.items():
        if answers[name].ids == ids:
            assert answers[name].confidence == pytest.approx(exp(log_probability), rel=1e-3)
            continue
        length = min(len(ids), len(answers[name].ids))
        first = next((i for i in range(length) if answers[name].ids[i] != ids[i]), length)
        assert margins[first] < NARROW, f"{name} differs at a clear choice"
        return  # what follows in a branch depends on it


@pytest.mark.slow
@given(
    seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=4),
    batches=st.lists(st.sampled_from([0, 1, 2, 3, 5]), min_size=4, max_size=4),
    adapter=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    late=st.lists(st.integers(0, 6), min_size=4, max_size=4),
)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_ids_are_those_of_generate_whoever_else_is_in_the_batch(
    base, backend, builder, adapters, loras, seeds, batches, adapter, late
):
    prompts = [random_tree(builder, s, b) for s, b in zip(seeds, batches, strict=False)]
    trees = [Tree(p, rules(base), loras[n]) for p, n in zip(prompts, adapter, strict=False)]
    arrivals = sorted(zip(late, range(len(trees)), strict=False))
    passes, running = 0, []
    while arrivals or running:
        while arrivals and arrivals[0][0] <= passes:
            running.append(trees[arrivals.pop(0)[1]])
        if running:
            step(backend, running)
        running = [tree for tree in running if not tree.done]
        passes += 1
    assert all_given_back(backend)
    for tree, prompt, number in zip(trees, prompts, adapter, strict=False):
        _, merged = adapters[number]
        assert_exact(tree.decoded.answers, reference(merged, base.vocabulary, prompt))


def test_a_merged_decoder_gives_the_same_ids(base, builder, shapes, adapters, merging):
    prompts = [random_tree(builder, seed, 0) for seed in range(2)]
    adapter, merged = adapters[1]
    backend = merging(base, adapter)
    lora = backend.take(adapter, shapes)
    trees = [Tree(prompt, rules(base), lora) for prompt in prompts]
    while not all(tree.done for tree in trees):
        step(backend, [tree for tree in trees if not tree.done])
    for tree, prompt in zip(trees, prompts, strict=True):
        assert_exact(tree.decoded.answers, reference(merged, base.vocabulary, prompt))


def test_one_that_is_merged_and_others_in_one_pass_give_the_same_ids(
    base, builder, shapes, adapters, merging
):
    backend = merging(base, adapters[1][0])
    loras = [adapter and backend.take(adapter, shapes) for adapter, _ in adapters]
    prompts = [random_tree(builder, seed, 0) for seed in range(len(loras))]
    trees = [Tree(prompt, rules(base), lora) for prompt, lora in zip(prompts, loras, strict=True)]
    while not all(tree.done for tree in trees):
        step(backend, [tree for tree in trees if not tree.done])
    for tree, prompt, (_, model) in zip(trees, prompts, adapters, strict=True):
        assert_exact(tree.decoded.answers, reference(model, base.vocabulary, prompt))


@pytest.fixture(scope="module")
def real(base_model):
    """The bundled model in fp32."""
    return load_base(ServingSettings(dtype="float32", device="cpu"), base_model)


@pytest.fixture(scope="module")
def asked_of(real):
    """A tree of so many batches for the bundled model, and what it answers in `generate`."""
    listing = Listing("1", "Lamps", "Nordhaus desk lamp, dark blue", "A steel lamp of 1.25 kg.")
    brand = Attribute(name="Brand", type=AttributeType.TEXT)
    weight = Attribute(name="Weight", type=AttributeType.NUMBER, units=("kg", "g"))
    asked = (COLOUR, WASHABLE, brand, weight)
    builder = PromptBuilder(real.vocabulary, ServingSettings())

    @cache  # it is the same for each decoder
    def made(batches):
        tree = builder.tree(listing, asked, batches=batches)
        return tree, reference(real.model, real.vocabulary, tree)

    return made


@pytest.mark.parametrize("batches", [1, 2, 0])
def test_the_bundled_model_answers_as_it_does_in_generate(real, asked_of, batches, backend_of):
    tree, expected = asked_of(batches)
    assert_exact(decode(backend_of(real), real, tree).answers, expected)
    assert len({ids for ids, _, _ in expected.values()}) > 2, "diverse answers"


@torch.inference_mode()
@pytest.mark.parametrize("piece", [TRUNK_ROWS, 7], ids=["the trunk whole", "the trunk in pieces"])
def test_teacher_forced_logits_agree(base, backend, builder, monkeypatch, piece):
    """Every row of a pass, and of a second pass on its cache, against a plain row per branch."""
    monkeypatch.setattr("serving.engine.tree_cache.TRUNK_ROWS", piece)
    tree = random_tree(builder, 5, 3)
    assert len(tree.trunk) > 7
    branches = [[t for segment in branch for t in segment.ids] for branch in tree.branches]
    cache = backend.cache(tree.trunk, len(branches))
    theirs = [
        base.model(torch.tensor([[*tree.trunk.ids, *branch]])).logits[0, len(tree.trunk) :]
        for branch in branches
    ]
    for part, trunk in ((slice(0, 6), tree.trunk), (slice(6, None), None)):
        fed = [(n, part.start, branch[part]) for n, branch in enumerate(branches) if branch[part]]
        tree_pass = backend.begin()
        rows = tree_pass.add(cache, trunk, fed)
        logits = tree_pass.run(range(len(tree_pass.ids))).logits
        for row, (number, slot, ids) in zip(rows, fed, strict=True):
            ours, want = logits[row : row + len(ids)], theirs[number][slot : slot + len(ids)]
            torch.testing.assert_close(ours, want, rtol=1e-4, atol=1e-4)


def test_the_outputs_compared_are_diverse(base, backend, builder):
    trees = [random_tree(builder, seed, 0) for seed in range(4)]
    decoded = [decode(backend, base, tree) for tree in trees]
    answers = [answer for each in decoded for answer in each.answers.values()]
    assert len({answer.ids for answer in answers}) > 0.8 * len(answers)
    assert {len(answer.ids) for answer in answers} > {CAP}, "some answers should end by themselves"


def test_the_trunk_is_computed_once_whatever_the_number_of_batches(base, backend, builder):
    tree = random_tree(builder, 1, 0)
    decoded = decode(backend, base, tree, 1)
    questions = sum(len(segment.ids) for branch in tree.branches for segment in branch)
    assert decoded.tokens_computed == len(tree.trunk) + questions
    assert decoded.forward_passes == 1
    assert decoded.logits_computed == len(tree.branches)


def branch_passes(decoded, branch):
    """Without drafts a question and its first token are a pass, each further token and stop one."""
    answers = [decoded.answers[segment.attribute.name] for segment in branch]
    return sum(min(len(answer.ids) + 1, CAP) for answer in answers)


@pytest.mark.parametrize("batches", [1, 2, 0])
@pytest.mark.usefixtures("no_drafts")
def test_forward_passes_are_those_of_the_longest_branch(base, backend, builder, batches):
    tree = random_tree(builder, 3, batches)
    decoded = decode(backend, base, tree)
    lengths = [branch_passes(decoded, branch) for branch in tree.branches]
    assert decoded.forward_passes == max(lengths)
    assert decoded.logits_computed == sum(lengths)


@pytest.mark.usefixtures("no_drafts")
def test_a_branch_that_is_done_holds_no_memory_while_others_go_on(base, backend, builder):
    prompt = random_tree(builder, 3, 3)
    tree = Tree(prompt, rules(base))
    holding = []
    while not tree.done:
        step(backend, [tree])
        holding.append(0 if tree.done else sum(map(bool, tree.cache.branches)))
    passes = [branch_passes(tree.decoded, branch) for branch in prompt.branches]
    assert holding == [sum(of > n for of in passes) for n in range(1, max(passes) + 1)]
    assert len(set(holding)) > 2, "some are done before others"


@pytest.mark.usefixtures("no_drafts")
def test_forced_tokens_cost_no_passes(base, backend, builder):
    """One branch of four questions, each value told from the others by its first token."""
    asked = [
        Attribute(name=f"{word} {n}", type=AttributeType.ENUM, values=("steel kettle", "matt blue"))
        for n, word in enumerate(WORDS[:4])
    ]
    tree = builder.tree(Listing("1", "Kettles", "a steel kettle"), asked, batches=1)
    compiled = Constraints(base.vocabulary)

    class NoBlanks:
        """A matcher that takes a value, whatever a random model would rather do."""

        def __init__(self, attribute):
            self._matcher, self._first = compiled.compiled(attribute)(), True

        def __getattr__(self, name):
            return getattr(self._matcher, name)

        def allows(self, token):
            return self._matcher.allows(token) and token not in base.vocabulary.stop_ids

        def allowed(self):
            allowed = self._matcher.allowed()
            return [token for token in allowed if token not in base.vocabulary.stop_ids]

    constrained = Rules(base.vocabulary, lambda _: CAP, matcher=NoBlanks)
    decoded = decode_by(backend, tree, constrained)
    texts = {answer.text for answer in decoded.answers.values()}
    assert texts <= {" steel kettle", " matt blue"}
    assert all(answer.complete for answer in decoded.answers.values())
    # The first token of each value is decided; the pass that feeds it brings the next question.
    assert decoded.forward_passes == len(asked) + 1
    values = sum(len(answer.ids) for answer in decoded.answers.values())
    questions = sum(len(segment.ids) for segment in tree.branches[0])
    newlines = len(asked) - 1
    assert decoded.tokens_computed == len(tree.trunk) + questions + values + newlines
    assert decoded.logits_computed == values + len(asked)


def test_a_branch_does_not_see_its_siblings_but_sees_the_trunk(base, backend, builder):
    tree = random_tree(builder, 2, 0)
    name = tree.branches[0][0].attribute.name
    alone = PromptTree(tree.trunk, tree.branches[:1])
    other_trunk = PromptTree(random_tree(builder, 3, 0).trunk, tree.branches)

    def confidence(tree):
        return decode(backend, base, tree, 1).answers[name].confidence

    assert confidence(alone) == pytest.approx(confidence(tree), rel=1e-4)
    assert confidence(other_trunk) != pytest.approx(confidence(tree), rel=1e-2)


def test_an_answer_is_cut_at_its_cap_and_the_next_question_is_still_asked(base, backend, builder):
    tree = random_tree(builder, 0, 1)
    decoded = decode(backend, base, tree, 2)
    assert len(decoded.answers) == len(tree.branches[0])
    assert all(len(answer.ids) <= 2 for answer in decoded.answers.values())
    assert any(not answer.complete for answer in decoded.answers.values())


@torch.inference_mode()
@pytest.mark.parametrize("tokens", [1, 31, 32, 33, 64])
def test_a_trunk_of_any_length_is_seen_whole_by_branches_that_begin_in_a_later_pass(
    base, backend, tokens
):
    ids = [7 * place % 300 for place in range(tokens)]
    trunk = Trunk(tuple(ids), range(tokens), tokens)
    cache = backend.cache(trunk, 2)
    first = backend.begin()
    first.add(cache, trunk, [])
    first.run([])  # nobody wants anything of it
    for branch, fed in ((1, [5, 6]), (0, [8])):
        later = backend.begin()
        (row,) = later.add(cache, None, [(branch, 0, fed)])
        ours = later.run([row + len(fed) - 1]).logits[0].float()
        theirs = base.model(torch.tensor([[*ids, *fed]])).logits[0, -1]
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_compiled_decoder_that_nobody_holds_leaves_nothing_behind(base):
    compiled = pytest.importorskip("serving.engine.openvino.backend").OpenVinoBackend(base.model)
    gone = ref(compiled)
    del compiled
    assert gone() is None


def test_the_graph_of_a_base_that_gives_way_to_an_adapter_leaves_nothing_behind(base, adapters):
    made = pytest.importorskip("serving.engine.openvino.backend").OpenVinoBackend
    shapes = linear_shapes(base.model)
    lora = load_lora(adapters[1][0], shapes, None, torch.float32, base.device)
    compiled = made(base.model, lora=lambda _: lora, max_merged=1)
    plain = ref(compiled.merged.choose({"base"})["base"])
    compiled.merged._keep(lora.adapter_hash)
    assert plain() is None


def test_after_an_adapter_that_could_not_be_set_the_base_answers_as_before(
    base, builder, shapes, adapters
):
    compiled = pytest.importorskip("serving.engine.openvino.backend").OpenVinoBackend(base.model)
    tree = random_tree(builder, 7, 2)
    before = decode(compiled, base, tree)
    whole = compiled.take(adapters[1][0], shapes)
    *most, last = whole.inputs
    broken = replace(whole, inputs={**{name: whole.inputs[name] for name in most}, last: None})
    failing = Tree(tree, rules(base), broken)
    with pytest.raises(TypeError):
        step(compiled, [failing])
    assert decode(compiled, base, tree) == before


def test_a_tree_without_branches_costs_nothing(base, backend):
    empty = decode(backend, base, PromptTree(Trunk((1, 2), range(2), 2), ()), 1)
    assert (empty.answers, empty.forward_passes) == ({}, 0)
