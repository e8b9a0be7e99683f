"""What a change of the schemas loses of a pool is known before, and said when it is taken over."""

import logging

import pytest

from schemas.category import CategorySchema, CategorySchemas
from schemas.changes import Kind
from streams.pool.losses import in_words, losses
from tests.streams.pool.test_renames import COLOR, DIMMABLE, HEIGHT, RENAMED, STYLE
from tests.streams.pool.test_schema_change import COLOUR, WITH_SHAPE, WITHOUT_STYLE, change, lamps
from tests.streams.world import LAMP, SCHEMAS, SUBMITTED, World, prediction, request, review

LOST = "SELECT schema_losses FROM status"
NO_ALIAS = lamps(COLOR.model_copy(update={"aliases": ()}), HEIGHT, DIMMABLE, STYLE)


def lost(world: World, after: CategorySchemas, before: CategorySchemas = SCHEMAS) -> str:
    return in_words(losses(world.rows, before, after))


def test_a_rename_without_an_alias_loses_its_values_and_one_with_it_none(world: World) -> None:
    world.sell_many(3)
    assert lost(world, NO_ALIAS) == "category 'Lamps', attribute 'Colour' is gone: 3 values"
    assert lost(world, RENAMED) == lost(world, WITH_SHAPE) == ""


def test_a_category_that_goes_loses_its_listings(world: World) -> None:
    world.sell_many(3)
    lights = CategorySchemas([CategorySchema(category="Lights", attributes=LAMP.attributes)])
    assert lost(world, lights) == "category 'Lamps' is gone: 12 values, 3 listings"


def test_values_that_are_refused_from_now_on_are_counted(world: World) -> None:
    world.sell("a")
    answer = prediction(request("b"))
    world.feed(request("b"), answer, review(answer, submitted=SUBMITTED | {"Colour": ["blue"]}))
    only_blue = COLOUR.model_copy(update={"values": ("blue",)})
    assert lost(world, lamps(only_blue, HEIGHT, DIMMABLE, STYLE)) == (
        "category 'Lamps', attribute 'Colour' refuses what it allowed: 1 values"
    )


def test_an_alias_that_is_dropped_loses_what_stands_under_it(world: World) -> None:
    world.sell("a")
    change(world, RENAMED)
    dropped = CategorySchemas(
        [CategorySchema(category="Lights", attributes=RENAMED["Lights"].attributes)]
    )
    assert lost(world, dropped, RENAMED) == (
        "category 'Lights' has lost a former name: 4 values, 1 listings"
    )


def test_what_was_never_legal_or_is_blank_is_no_loss(world: World) -> None:
    answer = prediction(request("a"))
    submitted = {"Style": [], "Colour": ["mauve"], "Unheard": ["of"]}
    world.feed(request("a"), answer, review(answer, submitted=submitted))
    assert lost(world, NO_ALIAS) == lost(world, WITHOUT_STYLE) == ""


def test_only_the_last_review_of_a_listing_counts(world: World) -> None:
    answer = world.sell("a")
    world.feed(review(answer, review_id="v2", submitted={"Colour": ["red"]}))
    assert lost(world, WITHOUT_STYLE) == ""


def test_the_worst_are_named_and_the_others_counted(world: World) -> None:
    world.sell("a")
    renamed = [a.model_copy(update={"name": f"New {a.name}"}) for a in LAMP.attributes]
    said = lost(world, lamps(*renamed))
    assert said.count("is gone: 1 values") == 4
    found = losses(world.rows, SCHEMAS, lamps(*renamed))
    assert [one.change.kind for one in found] == [Kind.GONE] * 4 + [Kind.NEW] * 4
    assert in_words(found * 2).endswith("; and 3 more")


def test_a_former_schema_that_this_version_refuses_stops_nobody(world: World) -> None:
    world.sell("a")
    world.pool.con.execute("UPDATE store.categories SET content = '{}'")
    change(world, NO_ALIAS)
    assert world.rows(LOST) == [(None,)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_worker_says_what_it_loses_when_it_takes_a_change_over(
    world: World, restarts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world.sell("a")
    assert world.rows(LOST) == [(None,)]
    with caplog.at_level(logging.WARNING, "listune.pool"):
        if restarts:
            world.schemas = NO_ALIAS
            world.reopen()
        else:
            change(world, NO_ALIAS)
    said = "category 'Lamps', attribute 'Colour' is gone: 1 values"
    assert world.rows(LOST) == [(said,)]
    assert f"the new category schemas lose {said}; give aliases" in caplog.text
    change(world, RENAMED)
    assert world.rows(LOST) == [(None,)]
