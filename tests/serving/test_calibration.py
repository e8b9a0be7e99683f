"""A calibration is looked up, travels in an adapter's header, and decides what is left blank."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from schemas.category import AttributeType
from schemas.events import Mode
from serving.adapter_file import CALIBRATION, blob_hash, read_adapter, write_adapter
from serving.calibration import (
    MAX_CALIBRATION_CHARACTERS,
    MAX_STEPS,
    POOLED,
    Calibration,
    Curve,
    abstain_below,
)
from serving.engine.engine import Engine
from serving.errors import AdapterError
from serving.generation import GenerationRequest
from tests.serving.helpers import EVERY_KIND, LAMP, adapter_blob, lora_tensors, metadata

ENUM, TEXT = AttributeType.ENUM, AttributeType.TEXT


def curve(mode=Mode.CONSTRAINED, kind=POOLED, threshold=None, **changes):
    steps = {"starts": (0.1, 0.5, 0.9), "probabilities": (0.2, 0.6, 0.8)}
    facts = {"mode": mode, "kind": kind, "threshold": threshold, "examples": 60} | steps
    return Curve(**(facts | changes))


def calibration(*curves):
    return Calibration(target_precision=0.8, curves=curves)


def test_a_confidence_is_looked_up_in_rising_steps():
    looked_up = [curve().probability(c) for c in (0.0, 0.1, 0.49, 0.5, 0.9, 1.0)]
    assert looked_up == [0.2, 0.2, 0.2, 0.6, 0.8, 0.8]


def test_a_kind_without_a_curve_of_its_own_takes_the_pooled_one():
    made = calibration(
        curve(threshold=0.4),
        curve(kind=ENUM, threshold=0.7),
        curve(Mode.FREE, threshold=0.2),
    )
    assert made.threshold(Mode.CONSTRAINED, ENUM) == 0.7
    assert made.threshold(Mode.CONSTRAINED, TEXT) == 0.4
    assert made.threshold(Mode.FREE, ENUM) == 0.2
    assert calibration(curve()).threshold(Mode.FREE, ENUM) is None


def test_a_kind_whose_target_is_out_of_reach_has_no_threshold_whatever_the_pooled_one():
    made = calibration(curve(threshold=0.4), curve(kind=ENUM))
    assert made.threshold(Mode.CONSTRAINED, ENUM) is None


def test_the_larger_of_setting_and_threshold_counts_and_free_mode_never_abstains():
    made = calibration(curve(threshold=0.4), curve(Mode.FREE, threshold=0.4))
    assert abstain_below(made, Mode.CONSTRAINED, TEXT, 0.3) == 0.4
    assert abstain_below(made, Mode.CONSTRAINED, TEXT, 0.5) == 0.5
    assert abstain_below(None, Mode.CONSTRAINED, TEXT, 0.5) == 0.5
    assert abstain_below(calibration(), Mode.CONSTRAINED, TEXT, 0.0) == 0.0
    assert abstain_below(made, Mode.FREE, TEXT, 0.5) == 0.0


def test_it_is_the_same_after_a_round_trip_through_an_adapters_header(shapes):
    made = calibration(curve(threshold=1 / 3), curve(kind=ENUM))
    plain = adapter_blob(shapes, "b" * 64)
    calibrated = adapter_blob(shapes, "b" * 64, calibration=made.model_dump_json())
    assert read_adapter(calibrated).calibration == made
    assert read_adapter(plain).calibration is None
    assert blob_hash(calibrated) != blob_hash(plain)


def test_the_largest_calibration_fits_into_a_header(shapes):
    steps = tuple((i + 1 / 3) / MAX_STEPS for i in range(MAX_STEPS))
    largest = calibration(
        *(
            curve(mode, kind, 1 / 3, starts=steps, probabilities=steps, examples=10**9)
            for mode in Mode
            for kind in (*AttributeType, POOLED)
        )
    )
    text = largest.model_dump_json()
    assert len(text) < MAX_CALIBRATION_CHARACTERS / 2
    assert read_adapter(adapter_blob(shapes, "b" * 64, calibration=text)).calibration == largest


GOOD = json.loads(calibration(curve(threshold=0.4)).model_dump_json())


def changed(**changes):
    return json.dumps(GOOD | {"curves": [GOOD["curves"][0] | changes]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[" * 100_000,
        " " * (MAX_CALIBRATION_CHARACTERS + 1),
        json.dumps({"curves": []}),
        json.dumps(GOOD | {"target_precision": 1.5}),
        json.dumps(GOOD | {"curves": GOOD["curves"] * 2}),
        changed(threshold=float("nan")),
        changed(threshold=-0.1),
        changed(kind="colour"),
        changed(mode="wild"),
        changed(starts=[]),
        changed(starts=[0.1, 0.5]),
        changed(starts=[0.1, 0.1, 0.9]),
        changed(probabilities=[0.8, 0.6, 0.2]),
        changed(starts=[i / 100 for i in range(40)], probabilities=[i / 100 for i in range(40)]),
        changed(surprise=1),
    ],
)
def test_a_calibration_that_cannot_be_read_is_no_adapter(shapes, text):
    with pytest.raises(AdapterError, match="calibrat") as refused:
        write_adapter(lora_tensors(shapes), metadata("b" * 64, **{CALIBRATION: text}))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_header_entries_that_are_no_text_are_no_adapter(shapes):
    blob = adapter_blob(shapes, "b" * 64, note="null")
    with pytest.raises(AdapterError, match="metadata"):
        read_adapter(blob.replace(b'"note":"null"', b'"note":[true]'))


def test_a_calibration_does_not_change():
    with pytest.raises(ValidationError):
        curve().threshold = 0.5


@pytest.fixture(params=["pushed", "restarted"])
def thresholds(request, settings, tiny_base, shapes):
    """An engine, and a request to an adapter that abstains below the median of its confidences."""
    with Engine(settings, tiny_base) as engine:
        bare = adapter_blob(shapes, engine.base_hash, "bare")
        engine.push("bare", blob_hash(bare), bare)
        asked = GenerationRequest(LAMP, EVERY_KIND, Mode.CONSTRAINED, adapter_hash=blob_hash(bare))
        plain = engine.generate(asked)
        filled = sorted(plain.confidence[name] for name in plain.values)
        median = filled[len(filled) // 2]
        both = calibration(curve(threshold=median), curve(Mode.FREE, threshold=1.0))
        blob = adapter_blob(shapes, engine.base_hash, calibration=both.model_dump_json())
        engine.push("default-r1-a1", blob_hash(blob), blob)
        if request.param == "pushed":
            yield engine, replace(asked, adapter_hash=blob_hash(blob)), plain, median
            return
    with Engine(settings, tiny_base) as engine:
        yield engine, replace(asked, adapter_hash=blob_hash(blob)), plain, median


def test_in_constrained_mode_answers_below_the_adapters_threshold_are_blank(thresholds):
    engine, asked, plain, median = thresholds
    answer = engine.generate(asked)
    kept = {name for name in plain.values if plain.confidence[name] >= median}
    assert answer.values == {name: plain.values[name] for name in kept}
    assert 0 < len(answer.values) < len(plain.values)
    assert answer.confidence == plain.confidence, "the probability of a blanked value is still told"


def test_in_free_mode_no_answer_is_blank_for_its_confidence(thresholds):
    engine, asked, plain, _ = thresholds
    free = replace(asked, mode=Mode.FREE)
    calibrated = engine.generate(free)
    bare = engine.generate(replace(free, adapter_hash=plain.adapter_hash))
    assert (calibrated.values, calibrated.invalid) == (bare.values, bare.invalid)
    assert calibrated.values or calibrated.invalid
