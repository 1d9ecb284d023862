"""An insight as Block Kit, within Slack's limits by construction.

Limits (Slack's Block Kit reference): 50 blocks; header 150 characters of plain text; section 3,000; 10 fields of 2,000;
context 10 elements. In `mrkdwn` exactly `&`, `<` and `>` are escaped, which also takes away `<!channel>`, `<@user>` and
links (Slack, "Formatting text", escaping).
"""

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import facts
from tokensense_otel.exporters.text import clean, clip, one_line

HEADER_CHARS = 150
SECTION_CHARS = 3000
FIELD_CHARS = 2000
FIELDS = 10
TEXT_CHARS = 4000

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NUMBERS = 12


def escape(char: str) -> str:
    return _ESCAPES.get(char, char)


def encode_blocks(insight: Insight) -> JsonObject:
    """`text` for notifications, `blocks` for the message: what happened, whose, the numbers, dollars, what to do."""
    blocks: list[JsonObject] = [
        {"type": "header", "text": {"type": "plain_text", "text": _headline(insight), "emoji": True}},
        _section(_mrkdwn(insight.summary or insight.title, SECTION_CHARS)),
        {"type": "section", "fields": [_field(name, value) for name, value in _fields(insight)]},
    ]
    if numbers := facts.numbers(insight, _NUMBERS):
        lines = "\n".join(f"• {_mrkdwn(name, 60)}: {_mrkdwn(value, 150)}" for name, value in numbers)
        blocks.append(_section(f"*Evidence*\n{lines}"))
    if insight.status is not Status.RESOLVED and insight.suggested_fix:
        blocks.append(_section(f"*What to do*\n{_mrkdwn(insight.suggested_fix, SECTION_CHARS - 20)}"))
    if links := _links(insight):
        blocks.append(_section(links))
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _context(insight)}]})
    return {"text": _text(insight), "blocks": blocks}


def encode_text(insight: Insight) -> JsonObject:
    """The same without blocks, for an endpoint that rejects them."""
    parts = [_text(insight), clip(clean(insight.summary), 1500, escape)]
    if insight.status is not Status.RESOLVED:
        parts.append(clip(clean(insight.suggested_fix), 1500, escape))
    return {"text": "\n".join(part for part in parts if part)}


def _headline(insight: Insight) -> str:
    """Plain text: Slack shows it as it is, so nothing is escaped."""
    word = "" if insight.status is Status.FIRING else f"{facts.STATUS_WORD[insight.status]}: "
    return clip(f"{facts.mark(insight)} {word}{one_line(insight.title)}", HEADER_CHARS)


def _text(insight: Insight) -> str:
    state = facts.STATUS_WORD[insight.status].lower()
    scope = " ".join(f"{name}={value}" for name, value in facts.whose(insight))
    return clip(
        one_line(f"{facts.mark(insight)} {insight.rule} {state}: {insight.title} ({scope})"), TEXT_CHARS // 4, escape
    )


def _fields(insight: Insight) -> list[tuple[str, str]]:
    saves = facts.savings(insight)
    fixed = [
        ("Status", f"{facts.STATUS_WORD[insight.status]}, {facts.when(insight)}"),
        ("Severity", insight.severity.value),
        ("Could save", f"about {saves}" if saves else "not known"),
    ]
    return ([(name.capitalize(), value) for name, value in facts.whose(insight)][: FIELDS - len(fixed)]) + fixed


def _field(name: str, value: str) -> JsonObject:
    return {"type": "mrkdwn", "text": f"*{_mrkdwn(name, 100)}*\n{_mrkdwn(value or '–', FIELD_CHARS - 200)}"}


def _section(text: str) -> JsonObject:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _mrkdwn(text: str, limit: int) -> str:
    return clip(clean(text).strip(), limit, escape) or "–"


def _links(insight: Insight) -> str:
    """Links of the insight that are links: an `http(s)` address without what would end Slack's syntax."""
    usable = [
        (name, url)
        for name, url in insight.links.items()
        if url.startswith(("https://", "http://"))
        and url.isascii()
        and url.isprintable()
        and len(url) <= 500
        and not set(url) & set("<>| ")
    ]
    return " · ".join(
        f"<{url.replace('&', '&amp;')}|{_mrkdwn(name.replace('|', ' '), 100)}>" for name, url in usable[:4]
    )


def _context(insight: Insight) -> str:
    return " · ".join(_mrkdwn(part, 200) for part in (insight.rule, insight.detected_at, insight.id))
