"""Rules that users write in YAML: read, checked, and made into rules like all others."""
