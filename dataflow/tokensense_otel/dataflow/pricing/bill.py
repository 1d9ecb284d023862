"""The arithmetic of one call's bill: tokens by class times rates, as an exact sum or as the bounds of it.

Everything is an integer of nano-dollars × 10⁶ (a rate is for a million tokens) until `half_even` rounds once.
"""

from typing import Final

from tokensense_otel.core.call import Call, Tokens
from tokensense_otel.dataflow.pricing.rates import Rates

MILLION: Final = 1_000_000
LIFETIME: Final = "the lifetime of cache writes was not reported (5 minutes or 1 hour)"

MOST_TOKENS: Final = 100_000_000
"""No single call uses more, by an order of magnitude; what claims to must not get into anybody's sums of money."""

NO_OUTPUT: Final = frozenset({"embeddings", "rerank", "moderation"})
"""Operations that generate nothing: unreported output is no gap there."""


def half_even(total: int) -> int:
    """Nano-dollars of a sum of tokens × nano-dollars a million, rounded half to even."""
    quotient, rest = divmod(total, MILLION)
    if rest > MILLION // 2 or (rest == MILLION // 2 and quotient & 1):
        return quotient + 1
    return quotient


def everyday(rates: Rates, call: Call) -> tuple[int, int]:
    """The everyday case of `bounds` in one go: (lowest, highest − lowest), (−1, 0) where it is not everyday.

    Everyday is: text only, every reported class listed and reported in full, except the lifetime of cache writes,
    which hardly any instrumentation tells.
    """
    tokens = call.tokens
    count, output, read, write = tokens.input, tokens.output or 0, tokens.cache_read or 0, tokens.cache_write or 0
    if count is None or rates.input is None or rates.reasoning is not None or tokens.image_input or rates.media_output:
        return -1, 0
    plain = count - read - write
    if plain < 0 or read < 0 or write < 0 or not 0 <= output <= MOST_TOKENS or count > MOST_TOKENS:
        return -1, 0
    total = plain * rates.input + rates.request * MILLION
    if output:
        if rates.output is None:
            return -1, 0
        total += output * rates.output
    elif tokens.output is None and rates.output is not None and call.operation not in NO_OUTPUT:
        return -1, 0
    if read:
        if rates.cache_read is None:
            return -1, 0
        total += read * rates.cache_read
    if write:
        short, long, long_rate = rates.cache_write, tokens.cache_write_1h, rates.cache_write_1h
        if short is None or (long and (long_rate is None or not 0 <= long <= write)):
            return -1, 0
        total += write * short
        if long_rate is not None and long_rate > short:
            if long is None:
                return total, write * (long_rate - short)
            total += long * (long_rate - short)
    return total, 0


def bounds(rates: Rates, tokens: Tokens, *, generates: bool) -> tuple[int, int, list[str]]:
    """(lowest, highest, reasons): equal and without reasons where the bill is certain.

    A class without a price of its own is part of its parent (audio is input, reasoning is output), as in the price
    list. What stays open: cached tokens without a listed cache price (free at best, input price at worst), the
    lifetime of cache writes, how much of the audio or images was cached, and classes that were not reported.
    """
    reasons: list[str] = []
    low, high, base = 0, 0, rates.input
    read, write, count = tokens.cache_read or 0, tokens.cache_write or 0, tokens.input or 0
    if tokens.input is None:
        reasons.append("input tokens were not reported; the cost is at least this")
        count = read + write
    if count and base is None:
        reasons.append("input has no listed price; the cost is at least this")
    base = base or 0
    plain = count - read - write
    if plain < 0:
        # Either the cached counts are wrong, or input was reported without them after all.
        reasons.append("more tokens were cached than sent")
        high += count * base
        plain = 0
    low += plain * base
    high += plain * base

    if read and rates.cache_read is None:
        reasons.append("cache reads have no listed price")
        high += read * base
    else:
        low += read * (rates.cache_read or 0)
        high += read * (rates.cache_read or 0)

    write_low, write_high = _writes(rates, tokens, base, reasons)
    low += write_low
    high += write_high

    parts = (
        ("audio", tokens.audio_input or 0, rates.audio_input, rates.audio_cache_read),
        ("image", tokens.image_input or 0, rates.image_input, rates.image_cache_read),
    )
    for name, part, rate, cached_rate in parts:
        if not part or rate is None:
            continue
        # Of the part, between `least` and `most` tokens were read from the cache; the bill is linear in between.
        least, most = max(0, part - plain), min(part, read)
        base_cached = rates.cache_read or 0
        ends = [
            (part - cached) * (rate - base)
            + cached * ((base_cached if cached_rate is None else cached_rate) - base_cached)
            for cached in (min(least, most), most)
        ]
        if ends[0] != ends[1]:
            reasons.append(f"how much of the {name} was cached was not reported")
        low += min(ends)
        high += max(ends)

    output_low, output_high = _outputs(rates, tokens, reasons, generates=generates)
    request = rates.request * MILLION
    return max(low, 0) + output_low + request, max(high, 0) + output_high + request, reasons


def _writes(rates: Rates, tokens: Tokens, base: int, reasons: list[str]) -> tuple[int, int]:
    write, long = tokens.cache_write or 0, tokens.cache_write_1h
    if not write:
        return 0, 0
    if rates.cache_write is None and rates.cache_write_1h is None:
        reasons.append("cache writes have no listed price; input price used")
        return write * base, write * base
    short_rate = base if rates.cache_write is None else rates.cache_write
    if rates.cache_write_1h is None:
        if long:
            reasons.append("one-hour cache writes have no listed price; the short one used")
        return write * short_rate, write * short_rate
    if long is None:
        reasons.append(LIFETIME)
        ends = (write * short_rate, write * rates.cache_write_1h)
        return min(ends), max(ends)
    long = min(long, write)
    exact = (write - long) * short_rate + long * rates.cache_write_1h
    return exact, exact


def _outputs(rates: Rates, tokens: Tokens, reasons: list[str], *, generates: bool) -> tuple[int, int]:
    if tokens.output is None:
        if generates and rates.output is not None:
            reasons.append("output tokens were not reported; the cost is at least this")
        return 0, 0
    if tokens.output and rates.output is None:
        reasons.append("output has no listed price; the cost is at least this")
    base = rates.output or 0
    total = tokens.output * base
    told = 0
    for part, rate in ((tokens.reasoning, rates.reasoning), (tokens.audio_output, rates.audio_output)):
        if part and rate is not None:
            told += min(part, tokens.output)
            total += min(part, tokens.output) * (rate - base)
    if tokens.output and rates.media_output is not None and rates.media_output > base:
        reasons.append("how much of the output was images or video was not reported")
        return total, total + max(0, tokens.output - told) * (rates.media_output - base)
    return total, total
