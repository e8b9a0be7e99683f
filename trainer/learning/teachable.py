"""Which listings of a round have something to teach, and why the others have not."""

import logging
from collections.abc import Sequence

from schemas.identity import told
from serving.prompt import PromptBuilder
from trainer.data.dataset import Row
from trainer.errors import TrainingError
from trainer.learning.packing import taught_answers, teaches
from trainer.settings import TrainerSettings

NAMED = 20
"""Listings that are left out are named up to this many; a round may have a thousand."""

NO_ROOM = (
    "no room for a question and its answer; raise trainer.max_length or "
    "serving.max_answer_tokens, or lower serving.max_trunk_tokens"
)

logger = logging.getLogger(__name__)


def teachable(
    rows: Sequence[Row], builder: PromptBuilder, settings: TrainerSettings, say: bool
) -> list[Row]:
    """Those of `rows` that have something to teach; with `say` the log names what is left out.

    Raises:
        TrainingError: no row has a value to learn, or room for one.
    """
    filled = [row for row in rows if row.filled()]
    if not filled:
        raise TrainingError("no listing of the round has a value; check what sellers submit")
    if settings.weight_accepted == 0:
        filled = _not_all_accepted(filled, say)
    kept: list[Row] = []
    left_out: list[Row] = []
    for row in filled:
        teaching = teaches(
            row, builder, settings.max_length, settings.blank, settings.weight_accepted
        )
        (kept if teaching else left_out).append(row)
    if say:
        _say_too_long(filled, builder)
    if not kept:
        raise TrainingError(f"the listings of the round leave {NO_ROOM}")
    if say and left_out:
        named = ", ".join(told(row.listing.listing_id) for row in left_out[:NAMED])
        more = ", ..." if len(left_out) > NAMED else ""
        logger.warning(
            "left out %d of %d listings (%s%s), which leave %s",
            len(left_out), len(filled), named, more, NO_ROOM,
        )  # fmt: skip
    return kept


def taught_by(row: Row, settings: TrainerSettings) -> list[object]:
    """What an adapter depends on of a row with this id: whoever keeps adapters tells them apart by
    it. Where a value comes from counts only where it weighs."""
    origins = [] if settings.weight_accepted == 1 else [dict(row.origins)]
    pictures = [row.pictures] if row.pictures else []
    return [row.listing.listing_id, row.values, *origins, *pictures]


def _not_all_accepted(rows: Sequence[Row], say: bool) -> list[Row]:
    """Those with a value that the seller typed or changed, where no other one is taught."""
    kept = [row for row in rows if not all(map(row.accepted, row.filled()))]
    if not kept:
        raise TrainingError(
            "sellers accepted each value of the round as suggested, and none of those is taught; "
            "raise trainer.weight_accepted above 0"
        )
    if say and len(kept) < len(rows):
        logger.warning(
            "left out %d of %d listings, of which sellers accepted each value as suggested: "
            "trainer.weight_accepted is 0",
            len(rows) - len(kept), len(rows),
        )  # fmt: skip
    return kept


def _say_too_long(rows: Sequence[Row], builder: PromptBuilder) -> None:
    values = sum(len(row.filled()) for row in rows)
    too_long = values - sum(len(taught_answers(row, builder)) for row in rows)
    if too_long:
        logger.warning(
            "%d of %d values are longer than the %d tokens that an answer may have; they can "
            "never be answered and are not trained on: raise serving.max_answer_tokens",
            too_long, values, builder.settings.max_answer_tokens,
        )  # fmt: skip
