"""Rules about work that asks for less: a smaller model, a shorter prompt."""
