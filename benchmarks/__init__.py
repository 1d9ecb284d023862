"""What things cost here, measured. `python -m benchmarks` prints medians; nothing that it prints is committed."""
