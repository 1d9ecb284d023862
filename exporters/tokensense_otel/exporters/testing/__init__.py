"""The contract that every exporter keeps, as tests that its author runs. Needs pytest and hypothesis.

from tokensense_otel.exporters.testing import HttpExporterContract

class TestNtfy(HttpExporterContract):
    exporter = NtfyExporter
    def section(self, url): return {"url": url, "token": self.canary}
"""

import pytest

pytest.register_assert_rewrite("tokensense_otel.exporters.testing.contract")  # so that a failure shows its values

from tokensense_otel.exporters.testing.contract import ExporterContract, HttpExporterContract  # noqa: E402
from tokensense_otel.exporters.testing.fault_server import Fault, FaultServer  # noqa: E402

__all__ = ["ExporterContract", "Fault", "FaultServer", "HttpExporterContract"]
