"""The demo: the real `up` under real OTLP traffic that misbehaves in each way the rules know."""

from tokensense_otel.service.demo.demo import run_demo

__all__ = ["run_demo"]
