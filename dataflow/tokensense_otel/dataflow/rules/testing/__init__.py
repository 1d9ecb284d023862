"""The contract that every rule keeps, as tests that its author runs. Needs pytest and hypothesis.

from tokensense_otel.dataflow.rules.testing import RuleContract, calls

class TestNight(RuleContract):
    rule = Night
    options = {"min_calls": 3}
    def firing(self): return calls(5, team="search")
"""

import pytest

pytest.register_assert_rewrite("tokensense_otel.dataflow.rules.testing.contract")  # so that a failure shows its values

from tokensense_otel.dataflow.rules.testing.contract import RuleContract, Subject  # noqa: E402
from tokensense_otel.dataflow.rules.testing.traffic import CATALOGUE, a_call, busy, calls  # noqa: E402

__all__ = ["CATALOGUE", "RuleContract", "Subject", "a_call", "busy", "calls"]
