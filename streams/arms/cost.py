"""What an arm's answers cost, in one currency of yours.

Answers of an endpoint are paid by the token. Answers of our own engine take a share of the machine:
all hours from the experiment's first live answer to its last, in proportion to the time that the
engine spent on this arm's answers of the time that it spent on all live ones. So idle hours and
what runs beside (training, measuring again) are paid by the live answers. Where several answers
are under way at once, each one's latency counts whole on both sides, which is right only as far as
all arms are as often in company. An answer that suggests nothing costs nothing.
"""

from streams.arms.observed import Traffic
from streams.trials import ArmPrices


def cost_of(traffic: Traffic, prices: ArmPrices) -> float | None:
    """What all answers of an arm cost; None where a price that it takes is missing."""
    total = 0.0
    if traffic.engine_share > 0:
        if prices.machine_hour is None:
            return None
        total += traffic.hours * traffic.engine_share * prices.machine_hour
    if traffic.billed_read or traffic.billed_written:
        if prices.million_input_tokens is None or prices.million_output_tokens is None:
            return None
        total += traffic.billed_read * prices.million_input_tokens / 1e6
        total += traffic.billed_written * prices.million_output_tokens / 1e6
    return total
