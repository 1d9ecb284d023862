"""An insight as mail: a subject, the same in plain text and in HTML, and headers that make a thread of an episode.

Facts: `Message-ID` is the insight's, so that copies can be told (RFC 5322, 3.6.4); `References` names the episode, so
that mail programs show one thread; `Auto-Submitted: auto-generated` keeps answering machines quiet (RFC 3834). What
comes from outside is one line in headers, which `email.message` folds and encodes, and is escaped in HTML.
"""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.exporters import facts
from tokensense_otel.exporters.text import clean, clip, one_line

_SUBJECT_CHARS = 150
_TEXT_CHARS = 8_000
_FIELD_CHARS = 1_000
_NUMBERS = 40


def encode_mail(insight: Insight, prefix: str) -> JsonObject:
    """Subject, both texts, and what the headers are made of."""
    return {**encode_plain(insight, prefix), "html": _html(insight)}


def encode_plain(insight: Insight, prefix: str) -> JsonObject:
    """The same without HTML, for a server that refuses it."""
    return {
        "subject": _subject(insight, prefix),
        "text": _text(insight),
        "insight": one_line(insight.id),
        "episode": one_line(insight.episode_id),
        "at": insight.resolved_at or insight.detected_at,
    }


def to_message(mail: JsonObject, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The message as it is sent, the same for every attempt."""
    domain = sender.rpartition("@")[2]
    message = EmailMessage(SMTP)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = mail["subject"]
    message["Date"] = format_datetime(datetime.fromisoformat(mail["at"]))
    message["Message-ID"] = f"<{mail['insight']}@{domain}>"
    message["References"] = message["In-Reply-To"] = f"<{mail['episode']}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-TokenSense-Insight"] = mail["insight"]
    message.set_content(mail["text"])
    if "html" in mail:
        message.add_alternative(mail["html"], subtype="html")
    return message


def _subject(insight: Insight, prefix: str) -> str:
    word = "" if insight.status is Status.FIRING else f"{facts.STATUS_WORD[insight.status]}: "
    return clip(f"{prefix} {facts.mark(insight)} {word}{one_line(insight.title)}".strip(), _SUBJECT_CHARS)


def _rows(insight: Insight) -> list[tuple[str, str]]:
    saves = facts.savings(insight)
    return [
        *facts.whose(insight),
        ("status", f"{facts.STATUS_WORD[insight.status]}, {facts.when(insight)}"),
        ("severity", insight.severity.value),
        ("could save", f"about {saves}" if saves else "not known"),
    ]


def _text(insight: Insight) -> str:
    parts = [clean(insight.summary or insight.title).strip(), _lines(_rows(insight))]
    if numbers := facts.numbers(insight, _NUMBERS):
        parts.append("Evidence\n" + _lines(numbers))
    if insight.suggested_fix and insight.status is not Status.RESOLVED:
        parts.append(f"What to do\n  {clean(insight.suggested_fix).strip()}")
    if links := _links(insight):
        parts.append("\n".join(f"{name}: {url}" for name, url in links))
    parts.append(f"{insight.rule} {insight.id}\n`tokensense insights show {insight.id}` proves it.")
    return "\n\n".join(clip(part, _TEXT_CHARS) for part in parts if part) + "\n"


def _lines(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(f"  {clip(one_line(name), 100)}: {clip(one_line(value), _FIELD_CHARS)}" for name, value in pairs)


def _html(insight: Insight) -> str:
    parts = [f"<h2>{_safe(f'{facts.mark(insight)} {insight.title}', 300)}</h2>", f"<p>{_safe(insight.summary)}</p>"]
    parts.append(_table(_rows(insight)))
    if numbers := facts.numbers(insight, _NUMBERS):
        parts += ["<h3>Evidence</h3>", _table(numbers)]
    if insight.suggested_fix and insight.status is not Status.RESOLVED:
        parts += ["<h3>What to do</h3>", f"<p>{_safe(insight.suggested_fix)}</p>"]
    parts += [f'<p><a href="{escape(url)}">{_safe(name, 100)}</a></p>' for name, url in _links(insight)]
    parts.append(f"<p><small>{_safe(insight.rule, 100)} {_safe(insight.id, 100)}</small></p>")
    return f'<!doctype html><html><body style="font-family:sans-serif">{"".join(parts)}</body></html>'


def _table(pairs: list[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th align="left">{_safe(name, 100)}</th><td>{_safe(value, _FIELD_CHARS)}</td></tr>'
        for name, value in pairs
    )
    return f'<table cellpadding="4">{rows}</table>'


def _safe(text: str, limit: int = _TEXT_CHARS) -> str:
    return clip(clean(text).strip(), limit, escape)


def _links(insight: Insight) -> list[tuple[str, str]]:
    return [
        (one_line(name), url)
        for name, url in insight.links.items()
        if url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and len(url) <= 500
    ][:4]
