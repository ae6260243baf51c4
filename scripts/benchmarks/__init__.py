"""The measurements of `scripts/benchmark.py`: each file is one of them, or what several of them share."""
