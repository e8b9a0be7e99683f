"""What an experiment on live traffic shows: from the pool's views to figures with intervals. Pure:
whoever reports asks the pool, and draws. Read in this order:

- `observed`: what the pool's views say of one experiment, as data, and what to ask them.
- `measures`: what is measured of a seller, each a number with a range.
- `cost`: what an arm's answers cost.
- `ratios`: whether the arms get their shares of sellers.
- `report`: all arms, each beside the control.
- `plan`: how many sellers an experiment will need, before it starts.

Two kinds of evidence stand beside each other. A *sequence* over one closed number per seller may be
looked at whenever one likes; it is what decides. The *fixed-horizon* test over all values is the
usual one, and is right only at the end that was planned.

Other rooms use: `streams.arms.observed`, `streams.arms.measures`, `streams.arms.report`,
`streams.arms.plan`.
"""
