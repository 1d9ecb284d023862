"""What a call's token counts mean: whether input includes the cache and output the reasoning, and what is unknown.

Emitters disagree, so semantics are resolved and not assumed: first by the dialect's contract, then by a total that has
to add up, then by what is impossible. Everything inferred is said in a note. The definitions are those of the
OpenTelemetry GenAI conventions v1.41 (`gen_ai.usage.*`: cached tokens within input, reasoning within output).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tokensense_otel.core.call import NO_TOKENS, Tokens
from tokensense_otel.dataflow.normalise.aliases import TOKEN_FIELDS
from tokensense_otel.dataflow.normalise.attributes import to_count
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems
from tokensense_otel.dataflow.normalise.dialects import ANTHROPIC_AND_BEDROCK, GOOGLE, NO_CACHE_WRITES
from tokensense_otel.dataflow.normalise.sanity import count_fault

Counts = dict[str, int]
"""Counts by the names of `aliases.TOKEN_FIELDS`; a class that nobody reported is not there."""

NO_ANSWER: Final = frozenset({"embeddings", "rerank", "moderation"})
"""Operations that generate no tokens and use no cache: what they leave out is zero, not unknown."""
_CACHE_AND_REASONING: Final = frozenset({"cache_read", "cache_write", "reasoning"})


@dataclass(frozen=True, slots=True)
class Contract:
    """What is known beforehand about the counts of one call. `None` means that nothing is."""

    input_excludes_cache: bool | None = None
    output_excludes_reasoning: bool | None = None
    reports: frozenset[str] = frozenset()
    """Classes that are left out only when they are zero."""


def counts_of(found: Mapping[str, Any], notes: list[str], problems: Problems | None = None) -> Counts:
    """The counts among a span's canonical fields; what is no count is refused with a note, and told to `problems`."""
    counts: Counts = {}
    for name in TOKEN_FIELDS:
        value = found.get(name)
        if value is None:
            continue
        count = to_count(value)
        if count is None:
            notes.append(f"{name} tokens refused: not a count")
            if problems is not None:
                problems.append(count_fault(value))
        else:
            counts[name] = count
            if problems is not None and isinstance(value, str):
                problems.append(Correction.TOKENS_AS_TEXT)
    return counts


def resolve(counts: Counts, contract: Contract, provider: str, operation: str, notes: list[str]) -> Tokens:
    """Tokens as `core.call.Tokens` defines them, from counts as they were reported."""
    if "input" not in counts and "output" not in counts:
        return NO_TOKENS
    if not (counts.get("input") or counts.get("output") or counts.get("cache_read") or counts.get("cache_write")):
        notes.append("usage of zero taken as unknown")
        return NO_TOKENS
    reads, writes = counts.get("cache_read"), counts.get("cache_write")
    cached = (reads or 0) + (writes or 0)
    count, output, reasoning = counts.get("input"), counts.get("output"), counts.get("reasoning")
    total = counts.get("total")
    if count == 0 and not cached and operation in ("chat", "generate_content", "text_completion"):
        notes.append("input of zero taken as unknown")
        count = None
    if count is not None and cached:
        count = _with_cache(count, cached, output, total, contract, provider, notes)
    elif reads is None and writes is None and count is not None and output is not None:
        count = _with_unnamed(count, output, total, contract, provider, notes)
    if output is not None:
        output, reasoning = _with_reasoning(count, output, reasoning, total, contract, provider, notes)
    elif operation in NO_ANSWER:
        output, reasoning = 0, _within(reasoning, 0)
    reports = _CACHE_AND_REASONING if operation in NO_ANSWER else contract.reports
    if reads is None and "cache_read" in reports:
        reads = 0
    if writes is None and ("cache_write" in reports or provider in NO_CACHE_WRITES):
        writes = 0
    if reasoning is None and "reasoning" in reports:
        reasoning = 0
    long_writes = counts.get("cache_write_1h")
    if long_writes is not None and long_writes > (writes or 0):
        notes.append("1 h cache writes above all cache writes refused")
        long_writes = None
    return Tokens(
        count,
        output,
        reads,
        writes,
        long_writes,
        reasoning,
        _within(counts.get("audio_input"), count),
        _within(counts.get("audio_output"), output),
        _within(counts.get("image_input"), count),
    )


def _within(part: int | None, whole: int | None) -> int | None:
    """A subset that is larger than its whole was no subset; then it says nothing."""
    return None if part is not None and whole is not None and part > whole else part


def _with_cache(
    count: int, cached: int, output: int | None, total: int | None, contract: Contract, provider: str, notes: list[str]
) -> int:
    """Input including what was read from and written to a cache."""
    excludes = contract.input_excludes_cache
    if excludes is None and total is not None and output is not None:
        if total == count + output:
            excludes = False
        elif total == count + output + cached:
            excludes = True
            notes.append("input excludes cached tokens: the total adds up only with them")
    if not excludes and cached > count:
        excludes = True
        notes.append("input excludes cached tokens: more were cached than sent")
    if excludes is None and provider in ANTHROPIC_AND_BEDROCK:
        notes.append("input assumed to include cached tokens; the emitter's contract is unknown")
    return count + cached if excludes else count


def _with_unnamed(
    count: int, output: int, total: int | None, contract: Contract, provider: str, notes: list[str]
) -> int:
    """Input including cached tokens that only the total tells of: Bedrock's counts them, and its input does not."""
    if (
        provider not in ANTHROPIC_AND_BEDROCK
        or contract.input_excludes_cache is False
        or "cache_read" in contract.reports
    ):
        return count
    if total is None or total <= count + output:
        notes.append("cached tokens are not reported; the input may leave them out")
        return count
    notes.append("input completed from the total: cached tokens are in that only")
    return total - output


def _with_reasoning(
    count: int | None,
    output: int,
    reasoning: int | None,
    total: int | None,
    contract: Contract,
    provider: str,
    notes: list[str],
) -> tuple[int, int | None]:
    """Output including reasoning, and the reasoning in it."""
    excludes = contract.output_excludes_reasoning
    if reasoning is None:
        # Gemini's total counts thoughts, so an emitter that forgot them gives them away.
        if excludes and provider in GOOGLE and count is not None and total is not None and total >= count + output:
            reasoning = total - count - output
            if reasoning:
                notes.append("reasoning told from the total")
            return output + reasoning, reasoning
        return output, None
    if excludes is None and reasoning and total is not None and count is not None:
        excludes = total == count + output + reasoning
        if excludes:
            notes.append("output excludes reasoning: the total adds up only with it")
    if not excludes and reasoning > output:
        excludes = True
        notes.append("output excludes reasoning: more was reasoned than answered")
    return (output + reasoning if excludes else output), reasoning


def fill(base: Tokens, donor: Tokens) -> Tokens:
    """`base`, completed by the classes that only `donor` reports, as far as they fit in what is known."""
    if not base.known:
        return donor
    if not donor.known or donor == base:
        return base
    whole_in = base.input if base.input is not None else donor.input
    if base.cache_read is None and base.output == donor.output and base.input is not None and donor.input is not None:
        cached = (donor.cache_read or 0) + (donor.cache_write or 0)
        if cached and donor.input == base.input + cached:
            # Both tell of one call, so `base` left the cached tokens out.
            whole_in = donor.input
    whole_out = base.output if base.output is not None else donor.output
    reads = base.cache_read if base.cache_read is not None else donor.cache_read
    writes = base.cache_write if base.cache_write is not None else donor.cache_write
    if whole_in is not None and (reads or 0) + (writes or 0) > whole_in:
        reads, writes = base.cache_read, base.cache_write
    merged = Tokens(
        whole_in,
        whole_out,
        reads,
        writes,
        _either(base.cache_write_1h, donor.cache_write_1h, writes or 0),
        _either(base.reasoning, donor.reasoning, whole_out),
        _either(base.audio_input, donor.audio_input, whole_in),
        _either(base.audio_output, donor.audio_output, whole_out),
        _either(base.image_input, donor.image_input, whole_in),
    )
    return base if merged == base else merged


def _either(own: int | None, other: int | None, whole: int | None) -> int | None:
    return own if own is not None else _within(other, whole)


def reported(tokens: Tokens) -> int:
    """How many classes somebody reported: the measure of the richer of two reports."""
    return sum(value is not None for value in msgspec.structs.astuple(tokens))
