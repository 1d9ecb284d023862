"""Prompts leave salted hashes and nothing else."""

import hmac
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.spans import key_values
from tokensense_otel.dataflow.normalise.prompt import prompt_hashes


def hashes(
    attributes: dict[str, Any], *events: Span.Event, salt: bytes = b"salt", limit: int = 2_000
) -> tuple[str, str]:
    return prompt_hashes(attributes, events, salt, prefix_chars=100, max_chars=limit)


def test_the_same_prompt_has_the_same_hash_and_another_has_not() -> None:
    """Repeats can be told, apart from blanks, and only with the installation's salt."""
    one, prefix = hashes({"gen_ai.input.messages": "Classify  this"})
    assert one == prefix, "a short prompt is its own prefix"
    assert len(one) == 32
    assert hashes({"gen_ai.input.messages": " Classify this\n"})[0] == one
    assert hashes({"gen_ai.input.messages": "Classify that"})[0] != one
    assert hashes({"gen_ai.input.messages": "Classify  this"}, salt=b"other")[0] != one


def test_prompts_that_begin_alike_share_a_prefix_hash() -> None:
    """A long common beginning shows where caching would pay."""
    common = "You are a helpful assistant. " * 10
    one, two = hashes({"input.value": common + "A"}), hashes({"input.value": common + "B"})
    assert one[0] != two[0]
    assert one[1] == two[1] != one[0]


def test_hashes_are_those_of_hmac_sha256() -> None:
    """Both hashes are the first 16 bytes of what HMAC-SHA256 gives for the whole text, and for how it begins."""
    text = "Überprüfe das, bitte: " + "日本語 " * 40 + "end"
    expected = [hmac.digest(b"salt", part.encode(), "sha256")[:16].hex() for part in (text, text[:100])]
    assert list(hashes({"input.value": text})) == expected
    assert hashes({"input.value": "short"})[0] == hmac.digest(b"salt", b"short", "sha256")[:16].hex()


@given(text=st.text(alphabet="ab \n\t\x1f\x85\xa0\u2003é", min_size=1, max_size=12))
def test_blanks_do_not_count(text: str) -> None:
    """Whatever kind of blanks, at the ends and in runs: what counts are the words with one space between them."""
    words = " ".join(text.split())
    expected = hmac.digest(b"salt", words.encode(), "sha256")[:16].hex()
    assert hashes({"input.value": text})[0] == expected


def test_work_is_bounded_and_length_still_tells() -> None:
    """Beyond the limit only the length counts: equal beginnings of equal length are taken for equal."""
    assert hashes({"input.value": "a" * 2_001})[0] != hashes({"input.value": "a" * 2_002})[0]
    assert hashes({"input.value": "a" * 2_000 + "b"})[0] == hashes({"input.value": "a" * 2_000 + "c"})[0]
    assert hashes({"input.value": "a" * 1_999 + "b"})[0] != hashes({"input.value": "a" * 1_999 + "c"})[0]


def test_a_hash_that_was_sent_counts_as_it_is() -> None:
    """Where the emitter hashes itself, or text is dropped on the way, nothing is hashed again."""
    sent = {"tokensense.prompt.hash": "abc", "tokensense.prefix.hash": "ab", "input.value": "text"}
    assert hashes(sent) == ("abc", "ab")
    assert hashes({"tokensense.prefix.hash": "ab"}) == ("", "ab")


def test_a_prompt_is_found_wherever_its_dialect_puts_it() -> None:
    """In one attribute, spread over indexed ones, as an array, or in span events; a system prompt is part of it."""
    places: list[tuple[dict[str, Any], list[Span.Event]]] = [
        ({"gen_ai.input.messages": [{"role": "user"}]}, []),
        ({"gen_ai.system_instructions": "Be brief", "gen_ai.input.messages": "Hi"}, []),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Hi"}, []),
        ({"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi"}, []),
        ({"embedding.embeddings.0.embedding.text": "Hi"}, []),
        ({"ai.prompt": "Hi!"}, []),
        ({}, [Span.Event(name="gen_ai.user.message", attributes=key_values({"content": "Hi"}))]),
    ]
    found = [hashes(attributes, *events)[0] for attributes, events in places]
    assert all(found)
    assert len(set(found)) == len(found)


def test_what_differs_between_runs_of_one_prompt_does_not_count() -> None:
    """LangChain puts a fresh id into `input.value`; the messages beside it are the prompt."""
    message = {"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi"}
    assert hashes(message | {"input.value": "id 1"}) == hashes(message | {"input.value": "id 2"})


def test_no_prompt_has_no_hash() -> None:
    """A span without text has no hash, and the answer is no prompt."""
    assert hashes({"output.value": "Hello", "gen_ai.output.messages": "Hello"}) == ("", "")
    assert hashes({}, Span.Event(name="exception")) == ("", "")
