"""What is remembered: usage rollups, what became of every span, insights and the outbox of their deliveries."""
