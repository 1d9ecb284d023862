"""What is written to each destination: golden examples, the vendors' limits, hostile text."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from standardwebhooks import Webhook

from tests.unit.exporters.support import an_insight
from tokensense_otel.core.insight import Insight, Severity, Status, decode_insight, encode_insight, stable_id
from tokensense_otel.exporters import Payload
from tokensense_otel.exporters.console.payload import encode_line
from tokensense_otel.exporters.pagerduty.payload import dedup_key
from tokensense_otel.exporters.registry import load_exporters
from tokensense_otel.exporters.slack.payload import encode_blocks, escape
from tokensense_otel.exporters.testing.contract import insights
from tokensense_otel.exporters.text import clean, clip, one_line, utf16
from tokensense_otel.exporters.webhook.signature import sign, signing_key

GOLDEN = Path(__file__).parents[2] / "testdata" / "golden" / "exporters"
SECTIONS: dict[str, dict[str, Any]] = {
    "console": {},
    "webhook": {"url": "https://example.com/hook"},
    "slack": {"webhook_url": "https://hooks.slack.com/services/T/B/x"},
    "pagerduty": {"routing_key": "R0"},
    "teams": {"webhook_url": "https://example.com/flow"},
    "alertmanager": {"url": "http://alertmanager:9093", "labels": {"cluster": "eu-1"}},
    "file": {"path": "insights.jsonl"},
    "webhook-cloudevents": {"type": "webhook", "url": "https://example.com/hook", "format": "cloudevents"},
    "webhook-alertmanager": {"type": "webhook", "url": "https://example.com/hook", "format": "alertmanager"},
}


def misuse(status: Status) -> Insight:
    """A finding with everything in it, some of it hostile."""
    resolved = status is Status.RESOLVED
    return Insight(
        id=stable_id("in", "ep_misuse", status.value),
        episode_id="ep_misuse",
        status=status,
        rule="MODEL_MISUSE",
        severity=Severity.HIGH,
        tenant="acme",
        project="shop",
        scope={"team": "search <!channel>", "model": "claude-opus-4-1"},
        title="Premium model on trivial work",
        summary="search answered 412 calls with claude-opus-4-1 at 38 output tokens on average & paid $61.80.",
        evidence={
            "calls": 412,
            "average_output_tokens": 38.2,
            "threshold_output_tokens": 100,
            "window": "24h",
            "spend_30d_usd": "1854.00",
            "trace_ids": ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b70000000000000001"],
        },
        suggested_fix="Use claude-haiku-4-5 for this team's short answers.",
        estimated_monthly_savings_usd="1483.2",
        started_at="2026-01-01T12:00:00Z",
        detected_at="2026-01-01T12:00:01Z",
        resolved_at="2026-01-01T15:30:00Z" if resolved else None,
        links={"insight": "https://tokensense.example/i?a=1&b=2", "bad": "javascript:alert(1)"},
    )


def rendered(kind: str, insight: Insight) -> Payload:
    [named] = load_exporters({"x": {"type": kind, **SECTIONS[kind]}}, base_dir=Path())
    return named.exporter.render(insight)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("kind", SECTIONS)
def test_golden(kind: str, status: Status) -> None:
    """Each destination's message for each transition is the one that was agreed on."""
    payload = rendered(kind, misuse(status))
    golden = json.loads((GOLDEN / f"{kind}_{status}.json").read_text(encoding="utf-8"))
    assert {"body": payload.body, "fallback": payload.fallback} == golden


def test_a_webhooks_data_is_the_insight() -> None:
    """`data` decodes to the very insight, `type` names the transition, the time is the event's."""
    insight = misuse(Status.RESOLVED)
    body = rendered("webhook", insight).body
    assert isinstance(body, dict)
    assert decode_insight(json.dumps(body["data"])) == insight
    assert (body["type"], body["timestamp"]) == ("insight.resolved", "2026-01-01T15:30:00Z")


def test_signatures_verify_with_the_specifications_library() -> None:
    """Each key's signature is one that `standardwebhooks` accepts; another key's is not."""
    secrets = ["whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    now = int(datetime.now(UTC).timestamp())
    body = b'{"type":"insight.firing"}'
    header = sign([signing_key(secret) for secret in secrets], "in_1", now, body)
    headers = {"webhook-id": "in_1", "webhook-timestamp": str(now), "webhook-signature": header}
    for secret in secrets:
        assert Webhook(secret).verify(body, headers) == {"type": "insight.firing"}
    with pytest.raises(Exception, match="No matching signature"):
        Webhook("whsec_" + base64.b64encode(bytes(32)).decode()).verify(body, headers)


def test_a_signature_by_hand() -> None:
    """The specification's example key over a known message, worked out with openssl."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("size", [23, 24, 64, 65])
def test_a_key_has_24_to_64_bytes(size: int) -> None:
    """The specification's bounds, both sides."""
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    if 24 <= size <= 64:
        assert len(signing_key(secret)) == size
    else:
        with pytest.raises(ValueError, match=f"the key has {size} bytes"):
            signing_key(secret)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(insight=insights)
def test_slack_stays_within_its_limits(insight: Insight) -> None:
    """Whatever the text: slack_sdk's own validation passes, every limit holds, nothing can mention or link."""
    body = encode_blocks(insight)
    assert 0 < len(body["blocks"]) <= 50
    for block in Block.parse_all(body["blocks"]):
        block.validate_json()
    for block in body["blocks"]:
        if block["type"] == "header":
            assert 0 < utf16(block["text"]["text"]) <= 150
        elif "fields" in block:
            assert 0 < len(block["fields"]) <= 10
            assert all(0 < utf16(field["text"]) <= 2000 for field in block["fields"])
        elif block["type"] == "section":
            assert 0 < utf16(block["text"]["text"]) <= 3000
        else:
            assert all(0 < utf16(element["text"]) <= 3000 for element in block["elements"])
        if block["type"] != "header":
            mrkdwn = "".join(strings(block)).replace("<https://example.com/a?b=1&amp;c=2|", "")
            assert "<" not in mrkdwn
    assert "<" not in body["text"]
    assert "\n" not in body["text"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(insight=insights)
def test_pagerduty_stays_within_its_limits(insight: Insight) -> None:
    """Summary, key and event size hold for any text; a resolve and its trigger have one key and both a payload."""
    body = rendered("pagerduty", insight).body
    assert isinstance(body, dict)
    assert body["event_action"] == ("resolve" if insight.status is Status.RESOLVED else "trigger")
    assert body["dedup_key"] == dedup_key(insight.episode_id)
    assert len(body["dedup_key"]) == 64
    assert 0 < utf16(body["payload"]["summary"]) <= 1024
    assert body["payload"]["source"]
    assert body["payload"]["severity"] in ("critical", "warning", "info")
    assert len(json.dumps(body).encode()) < 512_000 - 100


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(insight=insights)
def test_the_console_writes_one_line(insight: Insight) -> None:
    """No text breaks a line or reaches the terminal's controls."""
    line = encode_line(insight)
    assert len(line.splitlines()) == 1
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in line)


@given(text=st.text() | st.text(alphabet="e\u0301👩\u200d👧&<𝒳\U0001f3fd"), limit=st.integers(0, 60))
def test_clip_keeps_its_limit_and_whole_characters(text: str, limit: int) -> None:
    """The result is within the limit and is the text itself, or a prefix of it and an ellipsis, escapes whole."""
    clipped = clip(text, limit, escape)
    whole = "".join(map(escape, text))
    assert utf16(clipped) <= limit
    if utf16(whole) <= limit:
        assert clipped == whole
    elif limit:
        assert clipped.endswith("…")
        kept = clipped[:-1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert text.startswith(kept)
        assert text[len(kept)] not in "\u0301\u200d\U0001f3fd" or not kept


def test_clip_by_hand() -> None:
    """At the limit whole, one over it cut; escapes, accents and joined emoji are not split."""
    assert (clip("abcd", 4), clip("abcde", 4)) == ("abcd", "abc…")
    assert (clip("a<b", 6, escape), clip("a<b", 5, escape)) == ("a&lt;b", "a…")
    assert clip("e\u0301e\u0301e\u0301", 4) == "e\u0301…"
    assert clip("ab👩\u200d👧cd", 6) == "ab…"


def test_clean_takes_out_what_deceives() -> None:
    """Controls and direction overrides go, letters of every script and newlines stay."""
    assert clean("a\x00\x1b[31mb\u202ec\nд中") == "a[31mbc\nд中"
    assert one_line(" a\r\n\tb  c ") == "a b c"


def test_rendering_leaves_the_insight_alone() -> None:
    """Render is pure for every destination."""
    insight = an_insight()
    before = encode_insight(insight)
    for kind in SECTIONS:
        rendered(kind, insight)
    assert encode_insight(insight) == before
