"""One script a number, each with the peer it is measured against in the same run. `python -m benchmarks` runs them all."""
