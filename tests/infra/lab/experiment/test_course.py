"""What an arm trains on knows where its values come from, as far as the arm asked the model."""

from types import SimpleNamespace
from typing import Any

import pytest

from infra.lab.experiment.course import Course
from infra.lab.experiment.profiles import PROFILES, Arm
from schemas.events import ValueLists
from tests.builders import make_rows
from trainer.data.dataset import Row
from trainer.settings import TrainerSettings


class Asked:
    """A lab whose model fills the colour rightly, the material wrongly, and nothing else."""

    def judge(self, _: object, rows: list[Row]) -> Any:
        return SimpleNamespace(listings=[SimpleNamespace(values=answer(row)) for row in rows])


def answer(row: Row) -> ValueLists:
    wrong = "glass" if row.values["material"] != ["glass"] else "steel"
    return {"colour": row.values["colour"], "material": [wrong]}


@pytest.mark.parametrize(
    ("curation", "origins"),
    [
        ("deficit", {"colour": "accepted", "material": "changed", "weight": "typed"}),
        ("random", {}),
    ],
)
def test_a_curation_by_answers_tells_what_a_seller_would_have_accepted(
    curation: str, origins: dict[str, str]
) -> None:
    lab: Any = Asked()
    course = Course(lab, PROFILES["toy"], make_rows(6), [], 0, TrainerSettings())
    chosen = course.select(Arm("progressive", curation), 1, None, set())  # type: ignore[arg-type]
    assert chosen
    for row in chosen:
        assert origins.items() <= row.origins.items()
        assert bool(row.origins) == bool(origins)
