"""Prompts as salted hashes, so that repeats can be told and no text is kept.

What an emitter sends under `tokensense.prompt.hash` counts as it is. Else the text that is on the span, wherever its
dialect puts it, is hashed with HMAC-SHA256 under the installation's salt and dropped: without the salt a guess at a
prompt cannot be checked. Hashes of one prompt agree within a dialect, not between dialects.
"""

import hmac
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tokensense_otel.dataflow.normalise.attributes import Attributes, attributes_of, to_text

PROMPT_HASH: Final = "tokensense.prompt.hash"
PREFIX_HASH: Final = "tokensense.prefix.hash"
_WHOLE: Final = (
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "ai.prompt.messages",
    "ai.prompt",
    "langfuse.observation.input",
    "mlflow.spanInputs",
    "genkit:input",
    "gcp.vertex.agent.llm_request",
    "request_data",
)
"""Attributes that hold the whole prompt, the best first."""
_INDEXED: Final = (
    ("gen_ai.prompt.", ("gen_ai.prompt.0.role", "gen_ai.prompt.0.content")),
    ("llm.input_messages.", ("llm.input_messages.0.message.role", "llm.input_messages.1.message.role")),
    ("embedding.embeddings.", ("embedding.embeddings.0.embedding.text",)),
)
"""Prefixes under which a prompt is spread over attributes, one for each part of a message, and what shows it."""
_CONTENT: Final = (".content", ".text", ".role", ".arguments", ".name")
_OTHER_BLANKS: Final = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f"
"""What `str.split` takes for blank in ASCII besides the space."""
_EVENTS: Final = frozenset(
    {"gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message"}
    | {"gen_ai.content.prompt"}
)


_HOLDING: Final = frozenset({PROMPT_HASH, PREFIX_HASH, "input.value", *_WHOLE}).union(*(signs for _, signs in _INDEXED))


def may_hold_prompt(keys: Iterable[str]) -> bool:
    """Whether any of these attributes tells of a prompt; where none does, only events may."""
    return not _HOLDING.isdisjoint(keys)


def prompt_hashes(
    attributes: Attributes, events: Iterable[Span.Event], salt: bytes, *, prefix_chars: int, max_chars: int
) -> tuple[str, str]:
    """Hashes of the prompt and of how it begins, empty where no prompt is on the span.

    Blanks at the ends and runs of blanks do not count. Beyond `max_chars` only the length does, so the work is bounded.
    """
    sent, sent_prefix = to_text(attributes.get(PROMPT_HASH)), to_text(attributes.get(PREFIX_HASH))
    if sent:
        return sent[:128], sent_prefix[:128]
    text = _prompt_of(attributes, events)
    if not text:
        return "", sent_prefix[:128]
    kept = _single_spaced(text[:max_chars])
    whole = kept if len(text) <= max_chars else f"{kept}\x1f{len(text)}"
    hashed, hashed_prefix = _hashes(salt, whole, min(prefix_chars, len(kept)))
    return hashed, sent_prefix[:128] or hashed_prefix


def _single_spaced(text: str) -> str:
    """Without blanks at the ends, and with one space for each run of them."""
    if text.isascii() and text[0] != " " != text[-1]:
        # Most text is so already, and to see that takes a third of the time.
        data = text.encode()
        if b"  " not in data and len(data.translate(None, _OTHER_BLANKS)) == len(data):
            return text
    return " ".join(text.split())


def _hashes(salt: bytes, text: str, prefix_chars: int) -> tuple[str, str]:
    """HMAC-SHA256 of the text and of how it begins, each 16 bytes in hex; what both share is hashed once."""
    whole = keyed(salt).copy()
    whole.update(text[:prefix_chars].encode("utf-8", "replace"))
    if prefix_chars == len(text):
        hashed = whole.digest()[:16].hex()
        return hashed, hashed
    prefix = whole.copy()
    whole.update(text[prefix_chars:].encode("utf-8", "replace"))
    return whole.digest()[:16].hex(), prefix.digest()[:16].hex()


@lru_cache(maxsize=8)
def keyed(salt: bytes) -> hmac.HMAC:
    """HMAC-SHA256 under the salt; copy it before it is fed."""
    return hmac.new(salt, digestmod="sha256")


def _prompt_of(attributes: Attributes, events: Iterable[Span.Event]) -> str:
    for key in _WHOLE:
        if key in attributes:
            text = _text(attributes[key])
            if text:
                return _text(attributes.get("gen_ai.system_instructions")) + text
    for prefix, signs in _INDEXED:
        if any(sign in attributes for sign in signs):
            parts = [
                f"{key}={value}"
                for key, value in attributes.items()
                if key.startswith(prefix) and key.endswith(_CONTENT) and isinstance(value, str)
            ]
            if parts:
                return "\x1f".join(parts)
    text = _text(attributes.get("input.value"))
    if text:
        return text
    parts = [f"{event.name}={_text(attributes_of(event.attributes))}" for event in events if event.name in _EVENTS]
    return "\x1f".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return repr(value) if value else ""
