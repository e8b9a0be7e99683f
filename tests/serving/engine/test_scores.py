"""What comes of a pass is the same, whether the logits lie beside the decoding or on a device."""

import pytest
import torch

from serving.engine import scores
from serving.engine.scores import CopiedOnce, LogProbabilities, scored


def logits(dtype=torch.float32, rows=7, vocabulary=3000):
    torch.manual_seed(0)
    return (torch.randn(rows, vocabulary) * 4).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_log_probabilities_are_those_of_fp64_and_the_logits_stay_as_they_are(dtype, shift):
    given = (logits() + shift).to(dtype)
    kept = given.clone()
    exact = given.double().log_softmax(-1)
    here = LogProbabilities(given)
    for row in range(len(given)):
        token, log_probability = here.best(row)
        assert given[row, token] == given[row].max()
        assert log_probability == pytest.approx(exact[row, token].item(), abs=1e-6)
        token, log_probability = here.best_of(row, [5, 70])
        assert log_probability == pytest.approx(exact[row, token].item(), abs=1e-6)
    assert torch.equal(given, kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_what_is_copied_once_are_the_same_tokens_and_log_probabilities(dtype):
    given = logits(dtype)
    here, there = LogProbabilities(given), CopiedOnce(given)
    for row in range(len(given)):
        assert there.best(row)[0] == here.best(row)[0]
        assert there.best(row)[1] == pytest.approx(here.best(row)[1], abs=1e-5)


def test_the_best_of_given_tokens_is_found_among_the_likely_ones_and_beyond_them(monkeypatch):
    monkeypatch.setattr(scores, "LIKELY", 8)
    given = logits()
    here, there = LogProbabilities(given), CopiedOnce(given)
    by_rank = given.argsort(-1, descending=True).tolist()
    for row, ranked in enumerate(by_rank):
        for tokens in (ranked[3:9], ranked[7:8], ranked[8:30], ranked[-5:], [ranked[2], ranked[0]]):
            asked = sorted(tokens)
            token, log_probability = there.best_of(row, asked)
            assert token == here.best_of(row, asked)[0]
            assert log_probability == pytest.approx(here.best_of(row, asked)[1], abs=1e-5)


def test_likely_tokens_come_in_order_the_best_first(monkeypatch):
    monkeypatch.setattr(scores, "LIKELY", 8)
    given = logits()
    here, there = LogProbabilities(given), CopiedOnce(given)
    for row, ranked in enumerate(given.argsort(-1, descending=True).tolist()):
        assert [token for token, _ in there.likely(row)] == ranked[:8]
        for token, log_probability in there.likely(row):
            assert log_probability == pytest.approx(here.best_of(row, [token])[1], abs=1e-5)
        assert list(here.likely(row)) == [here.best(row)]


def test_what_is_likely_comes_over_in_one_copy(monkeypatch):
    given = logits()
    copy, copies = torch.Tensor.cpu, []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: copies.append(self) or copy(self))
    there = CopiedOnce(given)
    assert copies == [], "the device may still compute"
    best, _ = there.best(0)
    assert there.best_of(0, [best, 1])[0] == best
    assert len(copies) == 1


def test_a_vocabulary_smaller_than_what_is_likely_is_no_trouble():
    assert CopiedOnce(logits(vocabulary=5)).best(0)[0] == int(logits(vocabulary=5)[0].argmax())


def test_on_a_cpu_nothing_is_copied():
    assert isinstance(scored(logits()), LogProbabilities)
