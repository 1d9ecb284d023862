"""The rule about sessions that run away."""
