"""Recorded OTLP through the same stages as live traffic: `read.py` finds requests, `replay.py` runs them."""
