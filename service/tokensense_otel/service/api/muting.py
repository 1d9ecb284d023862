"""Routes that change something: silences and acknowledgements, and the proof of one insight.

A page in a browser must not be able to reach them: a body has to be `application/json`, which no page may send to
another origin without asking first, and nothing here ever says yes to that; a foreign `Origin` is refused outright.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokensense_otel.core.component import Clock
from tokensense_otel.service import events, muting
from tokensense_otel.service.api.answers import json_answer, problem
from tokensense_otel.service.proof import make_proof

MOST_BYTES = 16_384


def muting_routes(engine: Engine, clock: Clock) -> list[Route]:
    routes = _Routes(engine, clock)
    return [
        Route("/api/v1/insights/{id}", routes.insight),
        Route("/api/v1/insights/{id}/acknowledge", routes.acknowledge, methods=["POST"]),
        Route("/api/v1/silences", routes.silences, methods=["GET", "POST"]),
        Route("/api/v1/silences/{id}", routes.end, methods=["DELETE"]),
    ]


class _Routes:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def insight(self, request: Request) -> Response:
        return await _answer(request, lambda: make_proof(self._engine, request.path_params["id"], self._clock()))

    async def silences(self, request: Request) -> Response:
        now_ns = self._clock()
        if request.method != "POST":
            every = request.query_params.get("all") == "true"
            return await _answer(request, lambda: {"silences": muting.listing(self._engine, now_ns, all_=every)})
        refused, body = await _body(request)
        if refused is not None:
            return refused
        return await _answer(
            request,
            lambda: muting.to_document(muting.silence(self._engine, muting.decode_asked(body), now_ns), now_ns),
            status=201,
        )

    async def acknowledge(self, request: Request) -> Response:
        refused, body = await _body(request)
        if refused is not None:
            return refused
        now_ns, some_id = self._clock(), request.path_params["id"]

        def made() -> dict[str, object]:
            return muting.to_document(
                muting.acknowledge(self._engine, some_id, muting.decode_asked(body), now_ns), now_ns
            )

        return await _answer(request, made, status=201)

    async def end(self, request: Request) -> Response:
        if (refused := _foreign(request)) is not None:
            return refused
        now_ns = self._clock()
        return await _answer(
            request, lambda: muting.to_document(muting.end(self._engine, request.path_params["id"], now_ns), now_ns)
        )


async def _answer(request: Request, made: Callable[[], object], status: int = 200) -> Response:
    try:
        return json_answer(await run_in_threadpool(made), status=status)
    except muting.NoSuchThing as error:
        return problem(404, str(error.args[0]))
    except ValueError as error:
        return problem(400, str(error))
    except Exception as error:  # noqa: BLE001 - one request may not take the API down
        events.API_FAILED(path=request.url.path, error=f"{type(error).__name__}: {error}")
        return problem(500, "the answer could not be made; the log of the api process says why")


async def _body(request: Request) -> tuple[Response | None, bytes]:
    if (refused := _foreign(request)) is not None:
        return refused, b""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return problem(415, "write Content-Type: application/json"), b""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return problem(413, f"the body is longer than {MOST_BYTES} bytes"), b""
    return None, bytes(body)


def _foreign(request: Request) -> Response | None:
    """A browser says where its page is from; nothing that is from elsewhere may change anything."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc == request.headers.get("host"):
        return None
    return problem(403, "a page of another origin may not change anything here")
