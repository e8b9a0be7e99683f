"""The average of two adapters is that of the weights they add, as near as the rank allows."""

import pytest
import torch

from serving.adapter_file import SUFFIX_A, SUFFIX_B, AdapterFile, read_adapter, write_adapter
from trainer.errors import TrainingError
from trainer.learning.averaging import average

MODULES = {
    "base_model.model.layers.0.q_proj": (12, 10),
    "base_model.model.layers.0.k_proj": (3, 10),
}


def tensors(seed: int, rank: int = 4) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    return {
        name: tensor
        for module, (out, inner) in MODULES.items()
        for name, tensor in (
            (module + SUFFIX_A, torch.randn(rank, inner, generator=made)),
            (module + SUFFIX_B, torch.randn(out, rank, generator=made)),
        )
    }


def adapter(content: dict[str, torch.Tensor], rank: int = 4, alpha: int = 8) -> AdapterFile:
    header = {
        "adapter_id": "default-r1-a1",
        "parent_id": "base",
        "parent_hash": "base",
        "base_hash": "b" * 64,
        "rank": rank,
        "alpha": alpha,
        "peft_config": "{}",
    }
    return read_adapter(write_adapter(content, header))


def product(content: dict[str, torch.Tensor], module: str) -> torch.Tensor:
    return content[module + SUFFIX_B] @ content[module + SUFFIX_A]


def test_an_average_is_the_best_cut_of_the_dense_average() -> None:
    old, new = tensors(1), tensors(2)
    averaged, error = average(adapter(old), new, 0.25, scale=2.0)
    lost = whole = 0.0
    for module in MODULES:
        dense = 0.25 * product(old, module) + 0.75 * product(new, module)
        u, singular, vt = torch.linalg.svd(dense, full_matrices=False)
        nearest = u[:, :4] * singular[:4] @ vt[:4]
        torch.testing.assert_close(product(averaged, module), nearest, atol=1e-5, rtol=1e-5)
        lost += float((dense - nearest).square().sum())
        whole += float(dense.square().sum())
    assert error == pytest.approx((lost / whole) ** 0.5, rel=1e-4)
    assert 0 < error < 1
    assert {n: t.shape for n, t in averaged.items()} == {n: t.shape for n, t in new.items()}
    assert {t.dtype for t in averaged.values()} == {torch.float32}


def test_an_adapter_averaged_with_itself_stays_what_it_is() -> None:
    same = tensors(1)
    averaged, error = average(adapter(same), same, 0.5, scale=2.0)
    assert error < 1e-6
    for module in MODULES:
        torch.testing.assert_close(
            product(averaged, module), product(same, module), atol=1e-5, rtol=1e-5
        )


def test_both_sides_of_an_average_weigh_the_same() -> None:
    averaged, _ = average(adapter(tensors(1)), tensors(2), 0.25, scale=2.0)
    for module in MODULES:
        norms = averaged[module + SUFFIX_A].norm(), averaged[module + SUFFIX_B].norm()
        torch.testing.assert_close(*norms)


def test_adapters_that_start_at_nothing_average_to_nothing() -> None:
    empty = {n: t * (SUFFIX_A in n) for n, t in tensors(1).items()}
    averaged, error = average(adapter(empty), empty, 0.25, scale=2.0)
    assert error == 0.0
    assert not any(tensor.any() for tensor in averaged.values())


@pytest.mark.parametrize(("rank", "scale"), [(2, 2.0), (4, 1.0)])
def test_another_rank_or_alpha_is_refused(rank: int, scale: float) -> None:
    with pytest.raises(TrainingError, match="average_with_parent to 0"):
        average(adapter(tensors(1)), tensors(2, rank), 0.25, scale)
