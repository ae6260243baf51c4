"""The measurements of `scripts/benchmark.py`, and what all scripts share."""
