"""What an adapter sees through, as its file has it: the name of an encoder, and a projector.

The projector turns an encoder's features into rows of the base's trunk (`serving.engine.eyes`). Its
tensors travel beside LoRA's, under names that begin with `projector.`; the header entry `eyes`
names the encoder and the sizes. An adapter without them does not see.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.errors import AdapterError

if TYPE_CHECKING:
    import torch

PROJECTOR = "projector."
"""What the names of a projector's tensors begin with."""

EYES = "eyes"
"""The header entry with a `Sight` as JSON."""

MAX_SIGHT_CHARACTERS = 1000


class Sight(BaseModel):
    """An encoder, and the sizes of a projector from its features to a base's hidden size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str = Field(max_length=100)
    encoder_hash: str = Field(max_length=64)
    features: int = Field(ge=1)  # that the encoder has at each place
    rows: int = Field(ge=1)  # that a picture has in the trunk
    hidden: int = Field(ge=1)  # of the base

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The tensors of a projector by name, without what the file puts before."""
        return {
            "norm.weight": (self.features,),
            "norm.bias": (self.features,),
            "widen.weight": (self.hidden, self.features),
            "widen.bias": (self.hidden,),
            "out.weight": (self.hidden, self.hidden),
            "out.bias": (self.hidden,),
            "places": (self.rows, self.hidden),
            "scale": (),
        }

    @property
    def told(self) -> str:
        """The encoder and the sizes, for a message."""
        sizes = f"{self.rows} x {self.features} into {self.hidden}"
        return f"{self.encoder} ({self.encoder_hash[:12]}, {sizes})"


def read_sight(text: str | None) -> Sight | None:
    """What a header's entry says; None where there is none.

    Raises:
        AdapterError: it cannot be read.
    """
    if text is None:
        return None
    try:
        return Sight.model_validate_json(text[: MAX_SIGHT_CHARACTERS + 1])
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise AdapterError(
            f"what the adapter says of its eyes cannot be read ({reason}); write it anew"
        ) from None


def check_projector(
    adapter_id: str, own: Sight | None, tensors: "Mapping[str, torch.Tensor]", here: Sight | None
) -> None:
    """Check an adapter's projector.

    Args:
        adapter_id: for the message.
        own: what its header says.
        tensors: the projector's, by their own names.
        here: what there is in front of the base that is to load it.

    Raises:
        AdapterError: another encoder, tensors of other sizes, or values not finite.
    """
    if own is None:
        if tensors:
            raise AdapterError(
                f"adapter {adapter_id} has a projector, and its header does not say of which "
                "encoder; write it anew"
            )
        return
    if own != here:
        there = f"here is {here.told}" if here else "here is none"
        raise AdapterError(
            f"adapter {adapter_id} sees through the encoder {own.told}, {there}; set "
            "serving.encoder to the folder of that encoder"
        )
    if {name: tuple(t.shape) for name, t in tensors.items()} != dict(own.shapes):
        raise AdapterError(
            f"adapter {adapter_id}: its projector's tensors are not of the sizes that its header "
            "says; write it anew"
        )
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() and tensor.isfinite().all()):
            raise AdapterError(
                f"adapter {adapter_id}: its projector's {name!r} is not made of finite "
                "floating-point numbers; train it anew"
            )
