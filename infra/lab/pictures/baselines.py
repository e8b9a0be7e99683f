"""What the arms have to beat, on the sealed test; fitted on all arrivals with text and picture.

So they know all that an arm knows, and more where listings arrive in the paper's mix. A neighbour
by text answers where there is a text, and a neighbour by picture where there is a picture.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from infra.lab.experiment.lab import Lab
from infra.lab.pictures.figures import FILLED, MAJORITY, NEAREST_PICTURE, NEAREST_TEXT
from serving.generation import Generator
from trainer.data.dataset import Row, rows_hash
from trainer.judging.baselines import MajorityValue, NearestListing, NearestPicture, Vector
from trainer.judging.encoder_vectors import EncoderVectors
from trainer.judging.evaluate import Evaluation, Inputs
from trainer.judging.judge import Judge

Make = Callable[[], Generator]


def judge_baselines(
    lab: Lab,
    vectors: EncoderVectors,
    arrivals: Sequence[Row],
    test: Sequence[Row],
    inputs: Inputs,
) -> dict[str, Evaluation]:
    """Each baseline's answers on `test`, of which `inputs` are shown."""
    fitted_on = f"{rows_hash(arrivals)}, {vectors.hash}"
    vector = cache(vectors)  # two baselines compare the same pictures
    return lab.answered(
        test,
        lambda judge: {
            name: judge.baseline(name, make, f"judge {name}", fitted_on)
            for name, make in _makers(judge, vector, arrivals, inputs).items()
        },
    )


def _makers(
    judge: Judge, vector: Vector, arrivals: Sequence[Row], inputs: Inputs
) -> Mapping[str, Make]:
    seen = judge.pictures.of
    makers: dict[str, Make] = {MAJORITY: lambda: MajorityValue(arrivals)}
    if "text" in inputs:
        makers[NEAREST_TEXT] = lambda: NearestListing(arrivals)
        makers[NEAREST_TEXT + FILLED] = lambda: NearestListing(arrivals, fill_from_next=True)
    if "image" in inputs:
        makers[NEAREST_PICTURE] = lambda: NearestPicture(arrivals, seen, vector)
        makers[NEAREST_PICTURE + FILLED] = lambda: NearestPicture(arrivals, seen, vector, True)
    return makers
