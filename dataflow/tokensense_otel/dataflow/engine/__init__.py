"""Bytewax, and all that knows it: source, sink, the adapter for stages, recovery and the wiring in `flow.py`."""
