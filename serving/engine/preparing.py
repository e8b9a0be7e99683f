"""From a request to the tree that answers it, and from the tree's answers to a result."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from schemas.category import Attribute
from schemas.events import Mode, ValueLists
from schemas.values import is_valid, parse_answer
from serving.calibration import Calibration, abstain_below
from serving.engine.backend import Adapter
from serving.engine.branch import Answer, Matcher, Rules
from serving.engine.constraints import Constraints
from serving.engine.decoding import Tree
from serving.engine.eyes.features import Eyes, Features
from serving.engine.eyes.projector import Projector
from serving.engine.model import Base
from serving.engine.passing_thread import in_passing
from serving.errors import Refused
from serving.generation import GenerationRequest, GenerationResult
from serving.pictures.picture import Picture
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings

# One pass computes all first questions, so their number bounds its time and memory.
MAX_ATTRIBUTES = 1000
NO_EYES = "the model has no eyes, so pictures were not looked at; see serving.encoder"
BLIND = "the adapter has not learnt to see, so pictures were not looked at; train it with pictures"


class PreparedRequest:
    """A request on its way through the engine, and where its answer goes."""

    def __init__(
        self,
        request: GenerationRequest,
        tree: Tree,
        mode: Mode,
        pictures: int = 0,
        notes: tuple[str, ...] = (),
    ) -> None:
        """`pictures` were seen, and `notes` say what was not."""
        self.request = request
        self.tree = tree
        self.mode = mode
        self.pictures = pictures
        self.notes = notes
        self.start()

    def start(self) -> None:
        """The work begins now."""
        self._started = time.perf_counter()

    def result(
        self, adapter_id: str, floor: float, calibration: Calibration | None
    ) -> GenerationResult:
        """The result, once the tree is done; `floor` and `calibration` as for `judge`."""
        decoded = self.tree.decoded
        attributes = self.request.attributes
        values, invalid = judge(attributes, decoded.answers, self.mode, floor, calibration)
        return GenerationResult(
            values=values,
            invalid=invalid,
            cut=tuple(name for name in invalid if not decoded.answers[name].complete),
            confidence={a.name: decoded.answers[a.name].confidence for a in attributes},
            adapter_id=adapter_id,
            adapter_hash=self.request.adapter_hash,
            batches=self.tree.batches,
            forward_passes=decoded.forward_passes,
            tokens_computed=decoded.tokens_computed,
            logits_computed=decoded.logits_computed,
            seconds=time.perf_counter() - self._started,
            pictures=self.pictures,
            notes=self.notes,
        )


class Preparer:
    """Makes trees of requests: prompt, caps, matchers. For one thread."""

    def __init__(self, base: Base, settings: ServingSettings) -> None:
        self._base = base
        self._settings = settings
        self._builder = PromptBuilder(base.vocabulary, settings)
        self._constraints = Constraints(base.vocabulary)

    def prepare(
        self, request: GenerationRequest, lora: Adapter | None, projector: Projector | None = None
    ) -> PreparedRequest:
        """`request` with its tree, to be answered by the base with `lora`, seen by `projector`.

        Raises:
            Refused: two attributes have the same name, or there are too many; or what is said to
                be a picture is none.
        """
        names = [attribute.name for attribute in request.attributes]
        if len(names) > MAX_ATTRIBUTES:
            raise Refused(
                f"{len(names)} attributes in one request; ask for at most {MAX_ATTRIBUTES} at once"
            )
        if len(set(names)) < len(names):
            raise Refused("two attributes have the same name; ask for each once")
        mode = Mode(request.mode or self._settings.mode)
        pictures, notes = self._look(request, projector)
        prompt = self._builder.tree(
            request.listing,
            request.attributes,
            request.example,
            request.batches,
            [picture.tokens for picture in pictures],
        )
        caps = {a.name: self._builder.cap(a) for a in request.attributes}
        rules = Rules(
            vocabulary=self._base.vocabulary,
            cap=lambda attribute: caps[attribute.name],
            matcher=self._matchers(request) if mode is Mode.CONSTRAINED else lambda _: None,
        )
        tree = Tree(prompt, rules, lora, pictures)
        return PreparedRequest(request, tree, mode, len(pictures), notes)

    def _look(
        self, request: GenerationRequest, projector: Projector | None
    ) -> tuple[list[Features], tuple[str, ...]]:
        """The pictures as embeddings, and what could not be seen."""
        if not request.pictures:
            return [], ()
        eyes = self._base.eyes
        if eyes is None:
            return [], (NO_EYES,)
        if eyes.projected and projector is None:
            return [], (BLIND,)
        pictures = [Picture(data) for data in request.pictures]
        return in_passing(lambda: _embedded(eyes, pictures, projector)), ()

    def _matchers(self, request: GenerationRequest) -> Callable[[Attribute], Matcher | None]:
        fresh = {a.name: self._constraints.compiled(a) for a in request.attributes}

        def matcher(attribute: Attribute) -> Matcher | None:
            make = fresh[attribute.name]
            return None if make is None else make()

        return matcher


@torch.no_grad()
def _embedded(
    eyes: Eyes, pictures: Sequence[Picture], projector: Projector | None
) -> list[Features]:
    """`pictures` as rows of the base's trunk."""
    seen = eyes.see(pictures)
    if projector is None:
        return seen
    device = projector.scale.device
    rows = projector(torch.stack([picture.rows for picture in seen]).to(device))
    return [replace(one, rows=own) for one, own in zip(seen, rows, strict=True)]


def judge(
    attributes: tuple[Attribute, ...],
    answers: Mapping[str, Answer],
    mode: Mode,
    floor: float = 0.0,
    calibration: Calibration | None = None,
) -> tuple[ValueLists, dict[str, str]]:
    """The legal values, and (in free mode) the texts that are no legal values.

    An answer that the cap ended is no answer, whatever its text says: `Red` may be the beginning of
    `Red wine`. No allowed value of a sane length is lost by it, since each has room with its stop
    (`answer_cap`): what reaches the cap is longer, or written in other tokens than is taught.

    In constrained mode an answer that is illegal after all (a number out of range, a date not in
    the calendar, what the cap ended) or less probable than `floor` or than the adapter's calibrated
    threshold is a blank.
    """
    values: ValueLists = {}
    invalid: dict[str, str] = {}
    for attribute in attributes:
        answer = answers[attribute.name]
        parsed = parse_answer(attribute, answer.text)
        if not parsed:
            continue
        if answer.confidence < abstain_below(calibration, mode, attribute.type, floor):
            continue
        if answer.complete and is_valid(attribute, parsed):
            values[attribute.name] = parsed
        elif mode is Mode.FREE:
            invalid[attribute.name] = answer.text.strip()
    return values, invalid
