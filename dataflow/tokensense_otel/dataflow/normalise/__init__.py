"""From OTLP spans of any dialect to facts: who called which model, with what tokens, for whom."""

from tokensense_otel.dataflow.normalise.config import AttributionConfig, NormaliseConfig
from tokensense_otel.dataflow.normalise.normaliser import Normaliser

__all__ = ["AttributionConfig", "NormaliseConfig", "Normaliser"]
