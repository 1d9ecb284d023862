"""What a call cost: dated prices compiled into integer tables, model tiers and cheaper siblings."""

from tokensense_otel.dataflow.pricing.catalogue import BAD_USAGE, Catalogue
from tokensense_otel.dataflow.pricing.config import PricesConfig
from tokensense_otel.dataflow.pricing.outlook import CLASSES, Outlook, UnitPrices
from tokensense_otel.dataflow.pricing.tiers import Tier

__all__ = ["BAD_USAGE", "CLASSES", "Catalogue", "Outlook", "PricesConfig", "Tier", "UnitPrices"]
