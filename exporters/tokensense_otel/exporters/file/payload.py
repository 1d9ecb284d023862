"""The line: the insight as the API gives it, as one line of JSON."""

import msgspec

from tokensense_otel.core.insight import Insight, to_dict


def encode_line(insight: Insight) -> str:
    """JSON without a line break: JSON escapes those within strings."""
    return msgspec.json.encode(to_dict(insight)).decode()
