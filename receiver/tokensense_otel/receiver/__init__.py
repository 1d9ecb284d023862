"""What comes in: OTLP servers, who may send, and the durable log."""
