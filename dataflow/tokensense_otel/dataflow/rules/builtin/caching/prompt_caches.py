"""How long a prompt has to be before its provider's prompt cache takes it, and how long the cache keeps it: a table.

Where pages differ between their dates the larger minimum stands here, so that a prompt is never called cacheable that
may not have been. Models that are not listed have no minimum that we know of.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

TTL_S: Final = 300
"""The shortest lifetime that any of them promises: five minutes from the last use (Anthropic's default; OpenAI: 5 to 10
minutes, up to an hour)."""

_CLAUDE: Final = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
_OPENAI: Final = "https://developers.openai.com/api/docs/guides/prompt-caching"
_GROK: Final = "https://docs.x.ai/developers/advanced-api-usage/prompt-caching/best-practices"
_GEMINI: Final = "https://ai.google.dev/gemini-api/docs/caching"


class PromptCache(NamedTuple):
    """`min_tokens` is the shortest prefix that is cached; `asked_for` whether the request has to mark what to cache."""

    min_tokens: int
    asked_for: bool
    source: str
    as_of: str = "2026-11-24"


_TABLE: Final[tuple[tuple[re.Pattern[str], PromptCache], ...]] = tuple(
    (re.compile(pattern), cache)
    for pattern, cache in (
        (r"claude-(?:opus|sonnet)-4(?:[-.][01](?!\d)|-2025\d{4}|@|:|$)", PromptCache(1_024, True, _CLAUDE)),
        (r"claude-(?:sonnet-4[-.]5|3[-.]7-sonnet|3[-.]5-sonnet|3-opus)", PromptCache(1_024, True, _CLAUDE)),
        (r"claude-(?:sonnet-4[-.]6|opus-4[-.]7|3[-.]5-haiku|3-haiku)", PromptCache(2_048, True, _CLAUDE)),
        # The newest are said to need less than Opus 4.5's 4,096; nothing is concluded below the largest.
        (r"claude-", PromptCache(4_096, True, _CLAUDE)),
        (r"(?:^|[/.:])(?:gpt-4o|gpt-4\.1|gpt-[5-9]|o[134](?:-|$))", PromptCache(1_024, False, _OPENAI)),
        # No minimum is published, and hits are not guaranteed; nothing is concluded below what others need.
        (r"(?:^|[/.:])grok-", PromptCache(1_024, False, _GROK)),
        (r"gemini-2\.5-flash", PromptCache(2_048, False, _GEMINI)),
        (r"gemini-(?:2\.5-pro|[3-9])", PromptCache(4_096, False, _GEMINI)),
    )
)


@lru_cache(maxsize=4_096)
def prompt_cache(model: str) -> PromptCache | None:
    """The prompt cache of a model by its name, with or without the vendor in front; `None` where none is known.

    >>> prompt_cache("gpt-4o").min_tokens, prompt_cache("anthropic.claude-haiku-4-5-20251001-v1:0").min_tokens
    (1024, 4096)
    >>> prompt_cache("gpt-4") is None
    True
    """
    name = model.lower()
    return next((cache for pattern, cache in _TABLE if pattern.search(name)), None)
