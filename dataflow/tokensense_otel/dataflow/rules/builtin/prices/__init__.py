"""Rules about the price list: what is not on it, and what changes on it."""
