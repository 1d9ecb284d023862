"""Shards: the same in every process, of one width, and spread."""

from tests.support.calls import a_call
from tokensense_otel.dataflow.accounting import identity_shard, trace_shard, twin_shard


def test_a_shard_is_the_same_in_every_process() -> None:
    """Names come from a checksum, not from Python's salted hash: CRC-32 of `123456789` is 0xCBF43926."""
    assert trace_shard(b"123456789", 64) == f"{0xCBF43926 % 64:04d}" == "0038"
    assert identity_shard("default", "r1", 1) == twin_shard(a_call(), 1) == "0000"


def test_every_shard_gets_its_share() -> None:
    """1,000 traces over 8 shards leave none with less than half or more than twice its share of 125."""
    names = [trace_shard(number.to_bytes(16, "big"), 8) for number in range(1000)]
    assert {len(name) for name in names} == {4}
    counts = [names.count(f"{shard:04d}") for shard in range(8)]
    assert min(counts) > 62
    assert max(counts) < 250


def test_tenants_do_not_share_identities() -> None:
    """One response id of two tenants is two identities, and so can be on two shards."""
    assert len({identity_shard(f"tenant-{number}", "r1", 64) for number in range(20)}) > 1
