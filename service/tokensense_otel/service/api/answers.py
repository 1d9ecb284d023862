"""How the API answers: JSON, and errors as RFC 9457 problem details."""

from typing import Any

import orjson
from starlette.responses import Response


def json_answer(body: Any, status: int = 200, media_type: str = "application/json") -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type=media_type)


def problem(status: int, detail: str) -> Response:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return json_answer(body, status, "application/problem+json")
