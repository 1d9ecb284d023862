"""The commands. Each imports what it needs when it runs, so that `tokensense --help` answers at once."""
