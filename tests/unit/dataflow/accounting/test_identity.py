"""One call reported in several traces: counted once, by the best witness, and corrected exactly."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import NOON, SECOND, a_call
from tokensense_otel.core.call import Call, Dimensions, Posting, Tokens
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting import AccountingConfig, Identities, Twins, may_have_twin


def report(number: int, **changes: Any) -> Call:
    """A report of response `r1` in a trace of its own."""
    return a_call(
        **({"response_id": "r1", "scope": f"scope-{number}", "dialect": "openinference"} | changes),
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
    )


class Sums:
    """The books behind one stage. `total` counts what the stage before did too: every posting as a call."""

    def __init__(self, stage: Identities | Twins) -> None:
        self.stage: Identities | Twins = stage
        self.calls: list[Call] = []
        self.total = Accounting()

    def ingest(self, *postings: Posting, at: int = 0) -> list[Posting]:
        changes = self.stage.ingest(postings, at)
        for posting in postings:
            self.total.add(Accounting(spans=max(posting.sign, 0), calls=posting.sign))
        for posting in changes.postings:
            if posting.sign > 0:
                self.calls.append(posting.call)
            else:
                self.calls.remove(posting.call)
        for change in changes.accounting.values():
            self.total.add(change)
        assert self.total.calls == len(self.calls)
        return changes.postings


def identities(**config: Any) -> Sums:
    return Sums(Identities(AccountingConfig(**config)))


def test_a_lone_report_passes_as_it_is() -> None:
    """The first report of a call is posted unchanged."""
    sums = identities()
    posting = Posting(1, report(1))
    assert sums.ingest(posting) == [posting]


def test_a_second_report_in_another_trace_counts_once() -> None:
    """The provider SDK's word takes the place of the framework's, with the dimensions that only the framework knew."""
    sums = identities()
    framework = report(1, dimensions=Dimensions(team="search"))
    sdk = report(2, dialect="anthropic-sdk", dimensions=Dimensions(service="api"), prompt_hash="")
    sums.ingest(Posting(1, framework))
    postings = sums.ingest(Posting(1, sdk))
    joined = msgspec.structs.replace(sdk, dimensions=Dimensions(team="search", service="api"))
    assert postings == [Posting(-1, framework), Posting(1, joined)]
    assert sums.total == Accounting(spans=2, calls=1, duplicates=1)


def test_a_poorer_second_report_that_adds_nothing_posts_nothing() -> None:
    """A second report without usage only counts as a duplicate."""
    sums = identities()
    sums.ingest(Posting(1, report(1)))
    assert sums.ingest(Posting(1, report(2, tokens=Tokens()))) == []
    assert sums.total == Accounting(spans=2, calls=1, duplicates=1)


def test_the_joined_call_keeps_its_own_cost() -> None:
    """Nothing that a price depends on comes from another report."""
    sums = identities()
    sums.ingest(Posting(1, report(1, tokens=Tokens(1000, 50), service_tier="")))
    sums.ingest(Posting(1, report(2, tokens=Tokens(), service_tier="flex", finish_reason="stop")))
    (call,) = sums.calls
    assert (call.service_tier, call.finish_reason) == ("", "stop")


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        ({"start_ns": NOON + 3 * SECOND, "end_ns": NOON + 4 * SECOND}, 1),
        ({"start_ns": NOON + 3 * SECOND + 1, "end_ns": NOON + 4 * SECOND}, 2),
        ({"request_model": "claude-haiku-4-5", "response_model": ""}, 2),
        ({"request_model": "gpt-4o-2024-08-06", "response_model": ""}, 1),
        ({"tenant": "other"}, 2),
        ({"scope": "scope-1", "start_ns": NOON + SECOND // 2, "end_ns": NOON + 2 * SECOND}, 2),
        ({"scope": "scope-1"}, 1),
        ({"scope": "scope-1", "tokens": Tokens(1000, 51, cache_read=0)}, 2),
    ],
    ids=["2 s apart", "more than 2 s apart", "other model", "dated model", "other tenant", "one scope, later",
         "one scope, same words", "one scope, other words"],
)  # fmt: skip
def test_a_response_id_alone_proves_nothing(change: dict[str, Any], calls: int) -> None:
    """Reports join only if their times meet, their models agree, and one instrumentation says the same twice."""
    sums = identities()
    sums.ingest(Posting(1, report(1)), Posting(1, report(2, **change)))
    assert len(sums.calls) == calls


def test_the_reversal_of_a_joined_report_leaves_the_other() -> None:
    """When a trace takes its report back, the other one stands as it came."""
    sums = identities()
    one, two = report(1), report(2, dialect="anthropic-sdk")
    sums.ingest(Posting(1, one), Posting(1, two))
    sums.ingest(Posting(-1, two))
    assert sums.calls == [one]
    sums.ingest(Posting(-1, one))
    assert sums.calls == []
    assert sums.total.calls == 0


def test_lone_reports_are_forgotten_early_and_joined_ones_late() -> None:
    """A forgotten lone report is still reversed exactly; joined ones are remembered for longer, for the same end."""
    sums = identities(identity_window_s=120, identity_linger_s=3600)
    lone, one, two = report(1, response_id="lone"), report(2), report(3)
    sums.ingest(Posting(1, lone), Posting(1, one), Posting(1, two))
    assert sums.stage.next_wake() == 120 * SECOND
    sums.stage.advance(120 * SECOND - 1)
    assert len(sums.stage) == 2
    sums.stage.advance(120 * SECOND)
    assert len(sums.stage) == 1
    assert sums.ingest(Posting(-1, lone)) == [Posting(-1, lone)]
    sums.ingest(Posting(-1, two), at=1000 * SECOND)
    assert len(sums.calls) == 1
    assert sums.stage.next_wake() == 1120 * SECOND


def test_memory_is_bounded_even_by_an_id_that_all_calls_share() -> None:
    """More ids than the limit, or a stub's one id for a thousand calls: state stays small and every call counts."""
    sums = identities(max_identities=100)
    for number in range(1, 1001):
        sums.ingest(Posting(1, report(number, response_id=str(number))))
        times = {"start_ns": NOON + number * SECOND, "end_ns": NOON + number * SECOND + SECOND // 2}
        sums.ingest(Posting(1, report(number, response_id="chatcmpl-123", scope="sdk", **times)))
        assert len(sums.stage) <= 100
    assert len(sums.calls) == 2000
    assert len(sums.stage.snapshot()) < 100_000


def twin(number: int, **changes: Any) -> Call:
    return report(number, **({"response_id": "", "root": True} | changes))


def test_twins_without_a_common_response_id_are_one_call() -> None:
    """A framework's span without an id and the SDK's at the root of another trace agree on service, usage and time."""
    sums = Sums(Twins(AccountingConfig()))
    framework, sdk = twin(1), twin(2, response_id="r1")
    assert may_have_twin(framework)
    assert may_have_twin(sdk)
    sums.ingest(Posting(1, framework), Posting(1, sdk))
    assert [call.response_id for call in sums.calls] == ["r1"]
    assert sums.total == Accounting(spans=2, calls=1, duplicates=1)


@pytest.mark.parametrize(
    ("change"),
    [
        {"scope": "scope-1"},
        {"tokens": Tokens(1000, 51)},
        {"dimensions": Dimensions(service="other")},
        {"start_ns": NOON + SECOND // 5, "end_ns": NOON + SECOND + SECOND // 5},
        {"request_model": "o3", "response_model": ""},
        {"operation": "embeddings"},
    ],
    ids=["one scope", "other usage", "other service", "other time", "other model", "other operation"],
)
def test_calls_that_merely_resemble_each_other_are_no_twins(change: dict[str, Any]) -> None:
    """Any difference in who reports, usage, service, time, model or operation makes two calls."""
    sums = Sums(Twins(AccountingConfig()))
    sums.ingest(Posting(1, twin(1)), Posting(1, twin(2, **change)))
    assert len(sums.calls) == 2


def test_only_roots_and_calls_without_an_id_may_have_twins() -> None:
    """A call with an id and a parent is found by its id or in its trace; one without usage by nothing."""
    assert not may_have_twin(twin(1, response_id="r1", root=False))
    assert may_have_twin(twin(1, root=False))
    assert not may_have_twin(twin(1, tokens=Tokens()))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=st.integers(0, 3))
def test_order_batches_and_crashes_do_not_matter(data: st.DataObject, seed: int) -> None:
    """Whatever order reports and reversals come in, the calls that stand are those of the reports that stand."""
    reports = [
        report(
            number,
            dialect=data.draw(st.sampled_from(["openinference", "anthropic-sdk"])),
            tokens=data.draw(st.sampled_from([Tokens(), Tokens(1000, 50), Tokens(1000, 50, cache_read=9)])),
            scope=data.draw(st.sampled_from(["a", "b", "c"])),
            start_ns=NOON + number % 3,
        )
        for number in range(1, 6)
    ]
    taken_back = data.draw(st.sets(st.sampled_from(range(5))))
    config = AccountingConfig()
    plain = Sums(Identities(config))
    plain.ingest(*(Posting(1, call) for number, call in enumerate(reports) if number not in taken_back))

    drawn = data.draw(st.permutations([(number, 1) for number in range(5)] + [(number, -1) for number in taken_back]))
    # A reversal comes after its posting, as from a ledger it does.
    moves = sorted(drawn, key=lambda move: (max(drawn.index((move[0], 1)), drawn.index(move)), -move[1]))
    tangled = Sums(Identities(config))
    for number, sign in moves:
        tangled.ingest(Posting(sign, reports[number]))
        if number == seed:
            tangled.stage = Identities.restore(config, tangled.stage.snapshot())

    def by_id(call: Call) -> bytes:
        return call.span_id

    assert sorted(tangled.calls, key=by_id) == sorted(plain.calls, key=by_id)


def test_a_snapshot_of_another_version_is_refused() -> None:
    """The stage does not guess at the meaning of state that another version wrote."""
    with pytest.raises(ValueError, match="version 99"):
        Identities.restore(AccountingConfig(), msgspec.msgpack.encode([99, [], []]))
