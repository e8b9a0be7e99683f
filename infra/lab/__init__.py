"""Measuring instruments: benchmarks, the experiment, the chaos run. No other room imports them."""
