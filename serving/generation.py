"""What is asked of a generator, and what it answers. No torch: clients use these too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from schemas.category import Attribute
from schemas.events import BASE_ADAPTER, Mode, ValueLists
from serving.listing import Listing
from serving.prompt import Example


@dataclass(frozen=True)
class GenerationRequest:
    """Fill `attributes` of one listing.

    `batches` None takes the settings' number, 0 stands for one attribute each. `cancelled` is asked
    between forward passes and ends the work when it says True; it must be cheap. `pictures` are the
    bytes of small JPEGs (`serving.pictures.picture`), in the listing's order.
    """

    listing: Listing
    attributes: tuple[Attribute, ...]
    mode: Mode | None = None
    batches: int | None = None
    adapter_hash: str = BASE_ADAPTER
    example: Example | None = None
    pictures: tuple[bytes, ...] = ()
    cancelled: Callable[[], bool] | None = None


@dataclass(frozen=True)
class GenerationResult:
    """The answer to one request.

    `values` holds legal values only and `invalid` the texts that the schema refuses or that the cap
    ended; an attribute in neither is a blank. `confidence` has every attribute asked for: the
    probability of its answer, stop included, 0 to 1. `forward_passes` are those that it took part
    in, `tokens_computed` and `logits_computed` (tokens that went through the head) its own.
    `seconds` is the time at work, side by side with others, without the time in the queue.
    `pictures` is how many were seen, and `notes` says in a sentence each what was not.
    """

    values: ValueLists
    invalid: dict[str, str]
    confidence: dict[str, float]
    adapter_id: str
    adapter_hash: str
    batches: int
    forward_passes: int
    tokens_computed: int
    logits_computed: int
    seconds: float
    cut: tuple[str, ...] = ()  # attributes of `invalid` whose answer the cap ended
    pictures: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdapterName:
    """An adapter by its id and its hash, which are `base` for the base itself."""

    id: str
    hash: str


@dataclass(frozen=True)
class EngineStatus:
    """What an engine is made of, how busy it is, and what it has computed since it started."""

    base_hash: str
    dtype: str
    adapters: tuple[AdapterName, ...]
    queue: int
    running: int
    forward_passes: int = 0
    tokens_computed: int = 0
    logits_computed: int = 0


class Generator(Protocol):
    """How one request becomes a result; the place where decoding strategies differ."""

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """Answer `request`, or raise an EngineError."""
        ...
