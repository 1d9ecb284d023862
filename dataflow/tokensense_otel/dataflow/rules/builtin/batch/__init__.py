"""The rule about jobs that nobody waits for."""
