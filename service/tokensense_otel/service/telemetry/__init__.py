"""What TokenSense says of itself by OTLP: the numbers of `/metrics`, sent to a Collector."""
