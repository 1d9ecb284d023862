"""The vocabulary: what a call, its money, an insight and an error are. Imports no other part of TokenSense."""
