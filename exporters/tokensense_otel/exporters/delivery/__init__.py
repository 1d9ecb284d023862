"""The delivery ring: what is sent when, in which order, and what an outcome means. Pure parts, one shell."""
