"""Why each span counts or does not: not a log, but the same accounting done again."""
