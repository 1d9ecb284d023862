"""Teams: a card within the size that a flow takes, in which nothing from outside is Markdown."""

import json

from hypothesis import HealthCheck, given, settings

from tests.unit.exporters.support import an_insight
from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.teams.payload import MESSAGE_BYTES, encode_card, encode_text, escape
from tokensense_otel.exporters.testing.contract import insights


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(insight=insights)
def test_teams_stays_within_its_limits(insight: Insight) -> None:
    """Whatever the text: a message of at most 28 KB, with one card, and no text that is empty."""
    for body in (encode_card(insight), encode_text(insight)):
        assert len(json.dumps(body, ensure_ascii=False).encode()) <= MESSAGE_BYTES
        [attachment] = body["attachments"]
        for block in attachment["content"]["body"]:
            texts = [block["text"]] if "text" in block else [text for fact in block["facts"] for text in fact.values()]
            assert all(texts)


def test_marks_from_outside_are_only_text() -> None:
    """A link, bold or a mention in a title or a team's name is shown as it was written."""
    card = encode_card(an_insight(title="[click](https://evil.test) **now**", scope={"team": "<at>all</at>`x`"}))
    text = json.dumps(card)
    assert "[click](" not in text
    assert "\\\\[click\\\\]\\\\(https://evil.test\\\\) \\\\*\\\\*now" in text
    assert escape("a") == "a"
