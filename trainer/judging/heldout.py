"""Which listings calibrate an adapter and which judge it: none that it could have been trained on.

They come from the stream: a round's manifest brings the newest reviewed ones of the share that is
never trained on (`schemas.heldout`). By a hash of the listing some calibrate and the others judge,
so that a listing never does both, for any adapter. The listings of a file that `trainer.heldout`
names judge beside them.

A near-duplicate (`schemas.likeness`) of a listing that was trained on, by this round or one that
led to it, is as good as trained on, and so is a listing without a text of which a picture was: it
is left out here. The other way round, what is to be trained
on and is like a listing of the file is left out there.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from schemas.events import RetrainRequest
from schemas.heldout import calibrates
from schemas.identity import told
from schemas.likeness import Titles, text_group
from trainer.data.dataset import Row, read_heldout, read_rows, with_role
from trainer.data.registry import Registry
from trainer.errors import DataError
from trainer.results import adapter_id
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """Disjoint listings, none of them trained on."""

    calibrating: list[Row]
    judging: list[Row]


def read_held_out(
    trainer: TrainerSettings,
    request: RetrainRequest,
    taught: Iterable[Row],
    forgotten: Collection[str] = (),
) -> HeldOut:
    """The held-out listings of the round that `request` orders.

    Args:
        taught: what the candidate and the adapters before it were trained on.
        forgotten: SHA-256 of listings that nobody is asked about any more.

    Raises:
        DataError: none is left to judge on, or a file is wrong.
    """
    found = read_rows(with_role(request.files, "heldout"), forgotten)
    fixed = [] if trainer.heldout is None else read_heldout(trainer.heldout)
    stream, left = apart(found, taught)
    if left:
        logger.warning(
            "%d of %d held-out listings are like listings that were trained on and are left out, "
            "such as %s", len(left), len(found), told(left[0].listing.listing_id),
        )  # fmt: skip
    stream, _ = apart(stream, fixed)
    chosen = [calibrates(row.listing.listing_id, trainer.calibration_share) for row in stream]
    judging = [row for row, calibrating in zip(stream, chosen, strict=True) if not calibrating]
    if not judging and not fixed:
        raise DataError(
            f"nothing to judge on: the round brings {len(found)} held-out listings, {len(left)} of "
            "them like others that were trained on; raise streams.heldout_least, or set "
            "trainer.heldout to a JSONL file of listings"
        )
    calibrating = [row for row, calibrating in zip(stream, chosen, strict=True) if calibrating]
    return HeldOut(calibrating, [*fixed, *judging])


def taught_before(
    request: RetrainRequest, registry: Registry, forgotten: Collection[str] = ()
) -> list[Row]:
    """What the round's candidate, where the registry has it, and the adapters before it were
    trained on. An adapter that the registry does not know ends the way back.

    Raises:
        DataError: a file of theirs is missing or another.
    """
    rows: list[Row] = []
    name = adapter_id(request) if request.look > 1 else request.parent_id
    while registry.has(name):
        entry = registry.get(name)
        rows += read_rows(with_role(entry.data(), "train"), forgotten)
        name = entry.lineage.parent_id
    return rows


def fit_to_train(rows: Sequence[Row], trainer: TrainerSettings) -> list[Row]:
    """Those of `rows` that are not like a listing of the file `trainer.heldout`.

    Raises:
        DataError: none is left, or the file is wrong.
    """
    if trainer.heldout is None:
        return list(rows)
    kept, left = apart(rows, read_heldout(trainer.heldout))
    if left:
        logger.warning(
            "%d of %d listings are like listings of %s and are not trained on, such as %s",
            len(left), len(rows), trainer.heldout, told(left[0].listing.listing_id),
        )  # fmt: skip
    if rows and not kept:
        raise DataError(
            f"all {len(rows)} listings of the round are like listings of {trainer.heldout}; a "
            "held-out file must not overlap what is trained on, take them out of it"
        )
    return kept


def apart(rows: Iterable[Row], others: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """Those of `rows` that are like none of `others`, and those that are: the same listing, or in
    the same category a near-duplicate's title, or, without titles, the same description, or,
    without any text, a picture in common."""
    titles, ids, texts = Titles(), set(), set[int | None]()
    pictures = set[tuple[str, str]]()
    for other in others:
        ids.add(other.listing.listing_id)
        pictures |= _pictures(other)
        texts.add(_group(other))
        titles.add(other.listing.category, other.listing.title, other.listing.listing_id)
    kept: list[Row] = []
    left: list[Row] = []
    for row in rows:
        group = _group(row)
        like = (
            row.listing.listing_id in ids
            or (group is not None and group in texts)
            or any(titles.near(row.listing.category, row.listing.title))
            or (not row.has_text and not pictures.isdisjoint(_pictures(row)))
        )
        (left if like else kept).append(row)
    return kept, left


def _pictures(row: Row) -> set[tuple[str, str]]:
    return {(row.listing.category, sha256) for sha256 in row.pictures}


def _group(row: Row) -> int | None:
    return text_group(row.listing.category, row.listing.title, row.listing.description)
