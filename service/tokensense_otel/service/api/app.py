"""The API's routes. Every answer is JSON, also an error (RFC 9457 problem details), except `/metrics`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokensense_otel.core.component import Clock
from tokensense_otel.core.insight import to_dict
from tokensense_otel.dataflow.explain.explain import Unexplained
from tokensense_otel.service import events, queries
from tokensense_otel.service.accounting import make_accounting
from tokensense_otel.service.api.answers import json_answer, problem
from tokensense_otel.service.api.books import BooksCollector
from tokensense_otel.service.api.explainer import Explain
from tokensense_otel.service.api.muting import muting_routes

Check = Callable[[], str]
"""Says in a few words how a part is; raises when it is not well."""

Answer = Callable[[Request], Response]


@dataclass(frozen=True)
class Sources:
    """What the API answers from. `metrics` is the folder that the processes share, `None` for this process alone."""

    engine: Engine
    clock: Clock
    checks: dict[str, Check]
    metrics: Path | None
    explain: Explain
    collectors: tuple[Collector, ...] = ()
    """What else is shown in `/metrics`, looked at when somebody asks."""


def make_app(sources: Sources) -> Starlette:
    routes = _Routes(sources)
    answers: dict[str, Answer] = {
        "/api/v1/usage": routes.usage,
        "/api/v1/insights": routes.insights,
        "/api/v1/accounting": routes.accounting,
        "/api/v1/explain/{id:path}": routes.explain,
        "/healthz": routes.healthz,
        "/readyz": routes.readyz,
        "/metrics": routes.metrics,
    }
    return Starlette(
        routes=[
            *(Route(path, _guarded(answer)) for path, answer in answers.items()),
            *muting_routes(sources.engine, sources.clock),
        ],
        exception_handlers={HTTPException: _http_problem},
    )


def _guarded(answer: Answer) -> Answer:
    """An answer that cannot be made is one event and a problem for the client, which learns nothing of the inside."""

    def guarded(request: Request) -> Response:
        try:
            return answer(request)
        except Exception as error:  # noqa: BLE001 - one request may not take the API down
            events.API_FAILED(path=request.url.path, error=f"{type(error).__name__}: {error}")
            return problem(500, "the answer could not be made; the log of the api process says why")

    return guarded


class _Routes:
    # Plain functions: Starlette runs them in its thread pool, so that a long query holds up nobody else.
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def usage(self, request: Request) -> Response:
        try:
            query = queries.usage_query(_filters(request), self._sources.clock())
        except ValueError as error:
            return problem(400, str(error))
        return json_answer({"usage": queries.ask_usage(self._sources.engine, query)})

    def insights(self, request: Request) -> Response:
        try:
            query = queries.insight_query(_filters(request), self._sources.clock())
        except ValueError as error:
            return problem(400, str(error))
        found = queries.ask_insights(self._sources.engine, query)
        return json_answer({"insights": [to_dict(insight) for insight in found]})

    def accounting(self, request: Request) -> Response:
        try:
            query = queries.usage_query(_filters(request), self._sources.clock(), queries.ACCOUNTING_FILTERS)
        except ValueError as error:
            return problem(400, str(error))
        return json_answer(make_accounting(self._sources.engine, query))

    def explain(self, request: Request) -> Response:
        try:
            tenant = queries.explain_tenant(_filters(request))
        except ValueError as error:
            return problem(400, str(error))
        try:
            return json_answer(self._sources.explain(request.path_params["id"], tenant))
        except Unexplained as error:
            return problem(404, str(error))

    def healthz(self, request: Request) -> Response:  # noqa: ARG002 - the signature of a route
        return json_answer({"status": "ok"})

    def readyz(self, request: Request) -> Response:  # noqa: ARG002 - the signature of a route
        results = {name: _run(check) for name, check in self._sources.checks.items()}
        well = all(ok for ok, _ in results.values())
        body = {"status": "ok" if well else "fail", "checks": {name: text for name, (_, text) in results.items()}}
        return json_answer(body, status=200 if well else 503)

    def metrics(self, request: Request) -> Response:  # noqa: ARG002 - the signature of a route
        shown = b"".join(generate_latest(registry) for registry in gather(self._sources))
        return Response(shown, media_type=CONTENT_TYPE_LATEST)


def gather(sources: Sources) -> list[CollectorRegistry]:
    """All the numbers of the running parts: what they counted, and what is looked up when somebody asks."""
    counted = REGISTRY
    if sources.metrics is not None:
        counted = CollectorRegistry()
        MultiProcessCollector(counted, path=str(sources.metrics))  # type: ignore[no-untyped-call]
    books = CollectorRegistry()
    for collector in (BooksCollector(sources.engine), *sources.collectors):
        books.register(collector)
    return [counted, books]


def store_check(engine: Engine) -> Check:
    """Whether the store answers."""

    def check() -> str:
        with engine.connect() as connection:
            connection.execute(sa.select(1))
        return "ok"

    return check


def _run(check: Check) -> tuple[bool, str]:
    try:
        return True, check()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is not ready
        return False, f"{type(error).__name__}: {error}"


def _filters(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    filters = dict(pairs)
    if len(filters) != len(pairs):
        raise ValueError("a filter is given twice; write it once")
    return filters


def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    detail = f"there is nothing at {request.url.path}" if error.status_code == 404 else error.detail
    response = problem(error.status_code, detail)
    response.headers.update(error.headers or {})
    return response
