"""An insight as an Adaptive Card, within the size that a Teams flow takes, by construction.

Facts (Microsoft Learn, "Create incoming webhooks with Workflows" and the Adaptive Cards schema): a message has
`attachments` of one card; version 1.4 is shown everywhere; messages are at most 28 KB. A TextBlock reads a subset of
Markdown, so that what comes from outside has its marks escaped.
"""

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, Severity, Status
from tokensense_otel.exporters import facts
from tokensense_otel.exporters.text import clean, clip, one_line

MESSAGE_BYTES = 28_000

_COLOUR = {Severity.HIGH: "attention", Severity.MEDIUM: "warning", Severity.LOW: "accent"}
_MARKS = frozenset("\\*_[]()#`~>|")
_NUMBERS = 10
_TITLE_CHARS = 200
_TEXT_CHARS = 1500
_FACT_CHARS = 120


def escape(char: str) -> str:
    return f"\\{char}" if char in _MARKS else char


def encode_card(insight: Insight) -> JsonObject:
    """What happened, whose, the numbers, dollars, what to do, links."""
    over = insight.status is Status.RESOLVED
    body: list[JsonObject] = [
        {
            "type": "TextBlock",
            "size": "large",
            "weight": "bolder",
            "wrap": True,
            "color": "good" if over else _COLOUR[insight.severity],
            "text": _headline(insight),
        },
        _paragraph(insight.summary or insight.title),
        _facts([*facts.whose(insight)[:10], *_state(insight)]),
    ]
    if numbers := facts.numbers(insight, _NUMBERS):
        body += [_heading("Evidence"), _facts(numbers)]
    if insight.suggested_fix and not over:
        body += [_heading("What to do"), _paragraph(insight.suggested_fix)]
    body.append(_small(f"{insight.rule} · {insight.detected_at} · {insight.id}"))
    return _message(body, _actions(insight))


def encode_text(insight: Insight) -> JsonObject:
    """The same in two paragraphs, for a flow that refuses the card."""
    return _message([_paragraph(_headline(insight)), _paragraph(insight.summary or insight.title)], [])


def _message(body: list[JsonObject], actions: list[JsonObject]) -> JsonObject:
    card: JsonObject = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if actions:
        card["actions"] = actions
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _headline(insight: Insight) -> str:
    word = "" if insight.status is Status.FIRING else f"{facts.STATUS_WORD[insight.status]}: "
    return clip(f"{facts.mark(insight)} {word}{one_line(insight.title)}", _TITLE_CHARS, escape)


def _state(insight: Insight) -> list[tuple[str, str]]:
    saves = facts.savings(insight)
    return [
        ("status", f"{facts.STATUS_WORD[insight.status]}, {facts.when(insight)}"),
        ("severity", insight.severity.value),
        ("could save", f"about {saves}" if saves else "not known"),
    ]


def _paragraph(text: str) -> JsonObject:
    return {"type": "TextBlock", "wrap": True, "text": clip(clean(text).strip(), _TEXT_CHARS, escape) or "–"}


def _heading(text: str) -> JsonObject:
    return {"type": "TextBlock", "weight": "bolder", "spacing": "medium", "text": text}


def _small(text: str) -> JsonObject:
    return {
        "type": "TextBlock",
        "size": "small",
        "isSubtle": True,
        "wrap": True,
        "text": clip(one_line(text), 300, escape),
    }


def _facts(pairs: list[tuple[str, str]]) -> JsonObject:
    shown = [
        {"title": clip(one_line(name), 60, escape) or "–", "value": clip(one_line(value), _FACT_CHARS, escape) or "–"}
        for name, value in pairs
    ]
    return {"type": "FactSet", "facts": shown}


def _actions(insight: Insight) -> list[JsonObject]:
    """Links that are links, as buttons."""
    return [
        {"type": "Action.OpenUrl", "title": clip(one_line(name), 40) or "open", "url": url}
        for name, url in insight.links.items()
        if url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and len(url) <= 500
    ][:4]
