"""State in few bytes: what is packed comes back as it was, across snapshots, dictionaries and crashes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.books import Books
from tests.support.calls import SECOND
from tests.support.spans import facts_of_span
from tokensense_otel.core.call import Dimensions
from tokensense_otel.dataflow.accounting import packing
from tokensense_otel.dataflow.accounting.packing import PLAIN, Packer
from tokensense_otel.dataflow.facts import Kind, SpanFacts

SAMPLES = [f"a call of gpt-4o by team search, number {number}".encode() for number in range(400)]


def learned() -> Packer:
    packer = Packer()
    packer.learn(SAMPLES)
    return packer


@given(piece=st.binary(max_size=300))
def test_a_piece_comes_back_as_it_was(piece: bytes) -> None:
    """Any bytes, also none, are the same after packing, here and where the state was restored."""
    packer = learned()
    number, packed = packer.pack(piece)
    assert packer.unpack(number, packed) == piece
    assert Packer(packer.state()).unpack(number, packed) == piece


def test_pieces_like_those_before_take_few_bytes() -> None:
    """What a dictionary of earlier pieces holds is not written again: half the bytes or fewer, even of short pieces."""
    packer = learned()
    _, packed = packer.pack(SAMPLES[7])
    assert len(packed) <= len(SAMPLES[7]) // 2


def test_too_few_pieces_make_no_dictionary() -> None:
    """Until enough came to learn from, pieces stay as they are."""
    packer = Packer()
    packer.learn(SAMPLES[:10])
    assert not packer.ready
    assert packer.pack(b"piece") == (PLAIN, b"piece")
    assert packer.unpack(PLAIN, b"piece") == b"piece"


def test_a_dictionary_lasts_as_long_as_what_it_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one is made after so many pieces; the old one is forgotten when nothing is packed with it any more."""
    monkeypatch.setattr(packing, "_PIECES", 2)
    packer = learned()
    first, old = packer.pack(b"old piece")
    wanted = [packer.wants_samples]
    packer.pack(b"another")
    wanted.append(packer.wants_samples)
    assert wanted == [False, True]
    packer.learn(reversed(SAMPLES))
    second, new = packer.pack(b"new piece")
    assert second != first
    packer.keep([first, second])
    assert packer.unpack(first, old) == b"old piece"
    packer.keep([second])
    assert packer.unpack(second, new) == b"new piece"
    with pytest.raises(KeyError):
        packer.unpack(first, old)


def traces(count: int) -> list[list[SpanFacts]]:
    """Traces of a root that names the team and a call within it, enough of them to learn from."""
    made: list[list[SpanFacts]] = []
    for number in range(1, count + 1):
        trace_id = number.to_bytes(16, "big")
        root = facts_of_span(1, Kind.OTHER, trace_id=trace_id, own=Dimensions(team=f"team-{number % 5}"))
        call = facts_of_span(2, parent=1, trace_id=trace_id, response_id=f"resp-{number}", scope="sdk")
        made.append([root, call])
    return made


@pytest.mark.parametrize("pieces", [40, 65_536], ids=["many dictionaries", "one dictionary"])
def test_the_books_do_not_see_that_state_is_packed(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Late roots and resends find packed traces and identities as they were, across snapshots and crashes."""
    monkeypatch.setattr(packing, "_PIECES", pieces)
    chance = random.Random(7)
    whole = Books()
    packed = Books()
    late: list[SpanFacts] = []
    for root, call in traces(300):
        whole.ingest([root, call])
        packed.ingest([call])
        late.append(root)
        if chance.random() < 0.1:
            packed.crash()
        if late and chance.random() < 0.3:
            packed.ingest([late.pop(chance.randrange(len(late)))])
    for _ in range(2):
        packed.crash()
    packed.ingest(late)
    packed.ingest([call for _, call in traces(300)])
    assert packed.calls == whole.calls
    assert packed.total().calls == whole.total().calls == 300
    assert packed.total().duplicates == 300
    assert {call.dimensions.team for call in packed.calls} == {f"team-{number}" for number in range(5)}


def test_what_was_closed_while_packed_is_remembered() -> None:
    """A resend after its trace was closed counts as a duplicate, though the trace was never unpacked."""
    books = Books()
    spans = [facts for trace in traces(300) for facts in trace]
    books.ingest(spans)
    for _ in range(3):
        books.crash()
    books.advance(200 * SECOND)
    assert books.ledger.open_spans == 0
    books.ingest(spans, 201 * SECOND)
    assert books.total().calls == 300
    assert books.total().duplicates == 600


def test_quiet_state_is_small() -> None:
    """A root and its call take less than 400 bytes in the snapshots of ledger and identities together."""
    books = Books()
    books.ingest([facts for trace in traces(1_000) for facts in trace])
    for _ in range(3):
        books.ledger.snapshot()
    assert len(books.ledger.snapshot()) + len(books.identities.snapshot()) < 1_000 * 400 + 4 * 8_192
