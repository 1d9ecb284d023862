"""Which shard of the rules a call or a function's memory belongs to: the same in every process and on every day."""

import zlib
from functools import lru_cache


@lru_cache(maxsize=4_096)
def rule_shard(tenant: str, project: str, team: str, shards: int) -> str:
    """The shard of a team's calls, a fixed-width name. Every key of every rule about calls begins with the team."""
    return _name(f"call\x1f{tenant}\x1f{project}\x1f{team}", shards)


@lru_cache(maxsize=4_096)
def tenant_shard(tenant: str, shards: int) -> str:
    """The shard of a tenant's calls, for rules whose keys are wider than a team."""
    return _name(f"tenant\x1f{tenant}", shards)


def entity_shard(tenant: str, project: str, entity: str, shards: int) -> str:
    """The shard of a function's or container's memory, a fixed-width name."""
    return _name(f"memory\x1f{tenant}\x1f{project}\x1f{entity}", shards)


def _name(key: str, shards: int) -> str:
    return f"{zlib.crc32(key.encode()) % shards:04d}"
