"""Memory use of functions and containers, from the OTLP metrics of many emitters to one kind of sample."""

from tokensense_otel.dataflow.memory.normalise import samples

__all__ = ["samples"]
