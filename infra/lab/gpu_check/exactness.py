"""Whether the GPU answers what the CPU answers: the same token ids, listing by listing."""

from collections.abc import Iterator

from infra.lab.bench.results import ArmResult, Figures
from infra.lab.gpu_check.place import REFERENCE, Place
from infra.lab.gpu_check.reference import Listed, Reference, all_answers

EXACT, ROUNDED = "float32", "bfloat16"


def measure(place: Place) -> Iterator[ArmResult]:
    """A row for each mode, with and without adapters; in fp32, and in bf16 for comparison."""
    expected = Reference.read(place.part(REFERENCE)).answers
    for dtype in (EXACT, ROUNDED):
        for arm, given in all_answers(place, dtype).items():
            yield compared(arm, dtype, given, expected[arm])


def compared(arm: str, dtype: str, given: Listed, expected: Listed) -> ArmResult:
    """How many of the `expected` answers (fp32, CPU) have the very same token ids in `given`.

    `confidence_error` is the greatest relative difference of a confidence where the ids are equal.
    """
    pairs = [
        (ours[name], answer)
        for ours, theirs in zip(given, expected, strict=True)
        for name, answer in theirs.items()
    ]
    same = [(ours, theirs) for ours, theirs in pairs if ours.ids == theirs.ids]
    errors = [abs(o.confidence - t.confidence) / max(t.confidence, 1e-30) for o, t in same]
    figures: Figures = {
        "answers": len(pairs),
        "same_answers": len(same),
        "same_share": len(same) / len(pairs),
        "confidence_error": max(errors, default=None),
    }
    settings = {"stage": "exactness", "arm": arm, "dtype": dtype}
    return ArmResult(f"as on the CPU: {arm}, {dtype}", {**settings}, figures)
