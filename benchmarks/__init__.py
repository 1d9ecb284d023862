"""What things cost here, measured. `python -m benchmarks` prints medians, and draws those of `peers` and `soak` into `docs/charts`."""
