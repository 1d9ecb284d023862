"""The protocol: what OTLP says about messages, encodings and answers. Pure; knows no server."""
