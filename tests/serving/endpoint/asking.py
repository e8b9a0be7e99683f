"""What an endpoint is asked for in these tests, and what it may say."""

import pytest

from serving.endpoint.arm import EndpointArm
from serving.errors import EndpointUnavailable
from serving.generation import GenerationRequest
from tests.serving.helpers import EVERY_KIND, LAMP

REQUEST = GenerationRequest(LAMP, EVERY_KIND)
GOOD = '{"Colour": "dark blue", "Washable": true}'


def refused(
    arm: EndpointArm, timeout_s: float | None = None, request: GenerationRequest = REQUEST
) -> EndpointUnavailable:
    """What `arm` says instead of an answer."""
    with pytest.raises(EndpointUnavailable) as caught:
        arm.answer(request, timeout_s)
    return caught.value
