"""What things cost here, measured. `python -m benchmarks` prints medians and draws some of them into `docs/charts`."""
