"""Read usage, accounting and tallies back, whatever generations they are in."""

import sqlalchemy as sa
from sqlalchemy import Engine

from tokensense_otel.core.tally import Tallies, Tally
from tokensense_otel.core.usage import ACCOUNTING_FIELDS, USAGE_FIELDS, Accounting, Usage, UsageKey
from tokensense_otel.store import schema


def read_usage(
    engine: Engine,
    *,
    tenant: str | None = None,
    project: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[tuple[UsageKey, Usage]]:
    """The cells whose hour is in `since ≤ hour < until` (Unix seconds)."""
    table = schema.usage
    keys = [table.c[name] for name in UsageKey._fields]
    query = sa.select(*keys, *(sa.func.sum(table.c[name]).label(name) for name in USAGE_FIELDS)).group_by(*keys)
    if tenant is not None:
        query = query.where(table.c.tenant == tenant)
    if project is not None:
        query = query.where(table.c.project == project)
    if since is not None:
        query = query.where(table.c.hour >= since)
    if until is not None:
        query = query.where(table.c.hour < until)
    width = len(keys)
    with engine.connect() as connection:
        return [(UsageKey(*row[:width]), Usage(*row[width:])) for row in connection.execute(query)]


def read_accounting(engine: Engine, *, tenant: str | None = None) -> Accounting:
    """What became of every span, over all tenants or one."""
    table = schema.accounting
    query = sa.select(*(sa.func.coalesce(sa.func.sum(table.c[name]), 0) for name in ACCOUNTING_FIELDS))
    if tenant is not None:
        query = query.where(table.c.tenant == tenant)
    with engine.connect() as connection:
        return Accounting(*connection.execute(query).one())


def read_accounting_by_tenant(engine: Engine) -> dict[str, Accounting]:
    """What became of every span, tenant by tenant."""
    table = schema.accounting
    sums = [sa.func.sum(table.c[name]) for name in ACCOUNTING_FIELDS]
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table.c.tenant, *sums).group_by(table.c.tenant)).all()
    return {row[0]: Accounting(*row[1:]) for row in rows}


def read_tallies(engine: Engine, *, tenant: str | None = None) -> Tallies:
    """All counts, over all tenants or one."""
    table = schema.tallies
    keys = [table.c[name] for name in Tally._fields]
    query = sa.select(*keys, sa.func.sum(table.c["count"]).label("total")).group_by(*keys)
    if tenant is not None:
        query = query.where(table.c.tenant == tenant)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return Tallies({Tally(row.tenant, row.service, row.what, row.name): row.total for row in rows if row.total})
