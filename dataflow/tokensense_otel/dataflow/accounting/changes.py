"""What a stage of accounting changed in the books."""

import msgspec

from tokensense_otel.core.call import Posting
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.facts import SpanFacts, ToolUse


class Changes(msgspec.Struct):
    """Postings in the order in which they are to be made, and what became of spans, by tenant."""

    postings: list[Posting] = []
    accounting: dict[str, Accounting] = {}
    seen: list[SpanFacts] = []
    """New spans of GenAI traces; with the first GenAI span of a trace also those that came before it."""
    tools: list[ToolUse] = []
    """What traces tell of tools that were used, and what they take back of that."""

    def account(self, tenant: str, change: Accounting) -> None:
        """Add to what became of the tenant's spans; a change of nothing leaves no trace."""
        if not change.empty:
            self.accounting.setdefault(tenant, Accounting()).add(change)

    def of(self, tenant: str) -> Accounting:
        """What became of the tenant's spans, to be added to. `trim` then takes out what came to nothing."""
        sums = self.accounting.get(tenant)
        if sums is None:
            sums = self.accounting[tenant] = Accounting()
        return sums

    def trim(self) -> None:
        self.accounting = {tenant: sums for tenant, sums in self.accounting.items() if not sums.empty}

    def extend(self, other: "Changes") -> None:
        self.postings += other.postings
        for tenant, change in other.accounting.items():
            self.account(tenant, change)
        self.seen += other.seen
        self.tools += other.tools
