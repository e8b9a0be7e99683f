"""What suggestions were worth to a seller: net benefit in accepted values (Vickers and Elkin 2006).

A service may have shown more than was asked for, and what a seller reviewed is its word: no more
counts than was asked for.
"""


def net_values(asked: int, shown: int, accepted: int, cost: float) -> float:
    """accepted - cost x those shown and not accepted, from -cost x asked to asked."""
    return min(max(accepted - cost * (shown - accepted), -cost * asked), asked)


def net_benefit(asked: int, shown: int, accepted: int, cost: float) -> float:
    """The same of each value asked for, of which there is one at least: from -cost to 1."""
    return net_values(asked, shown, accepted, cost) / asked


def scaled(net_benefit: float, cost: float) -> float:
    """A net benefit, from -cost to 1, as a number from 0 to 1."""
    return (net_benefit + cost) / (1 + cost)
