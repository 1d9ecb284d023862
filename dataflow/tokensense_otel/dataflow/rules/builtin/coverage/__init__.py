"""Rules about what the telemetry lacks: an owner, or all of it."""
