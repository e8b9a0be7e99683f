"""Each setting says what it changes: what is kept is found again by what it depends on."""

from typing import get_args

import pytest
from pydantic import BaseModel

from serving.settings import Change, ServingSettings, fields_that_change
from trainer.settings import TrainerSettings


@pytest.mark.parametrize("settings", [ServingSettings, TrainerSettings])
def test_every_setting_is_marked_with_what_it_changes(settings: type[BaseModel]) -> None:
    assert fields_that_change(settings, *get_args(Change)) == set(settings.model_fields)


def test_a_setting_that_changes_the_prompt_changes_what_is_taught_and_what_is_answered() -> None:
    assert fields_that_change(ServingSettings, "training") == {
        "batches",
        "max_trunk_tokens",
        "max_answer_tokens",
        "hint_values",
        "pictures",
        "picture_edge",
        "picture_place",
    }
    assert fields_that_change(ServingSettings, "answers") == {
        "dtype",
        "decoder",
        "mode",
        "abstain_below",
    }


def test_where_a_round_lies_and_how_it_is_shown_change_no_adapter() -> None:
    taught = fields_that_change(TrainerSettings, "training")
    assert {"rank", "learning_rate", "seed", "blank"} <= taught
    assert taught.isdisjoint({"registry_dir", "heldout", "margin", "health_port", "log_to"})
