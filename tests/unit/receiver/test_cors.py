"""Which web pages may send from a browser."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiving import MemoryLog, running

BODY = trace_request([sound_span(1)]).SerializeToString()
PAGE = "https://shop.example.com"
KEY: dict[str, Any] = {"auth": {"required": True, "keys": [{"name": "a", "key": "k"}]}}


def answer(method: str, headers: dict[str, str], cors: dict[str, Any], **settings: Any) -> httpx2.Response:
    async def story() -> httpx2.Response:
        http = {"endpoint": "127.0.0.1:0", "cors": cors}
        async with (
            running(MemoryLog(), http=http, **settings) as receiver,
            httpx2.AsyncClient(trust_env=False) as client,
        ):
            url = f"http://{receiver.endpoints.http}/v1/traces"
            body = BODY if method == "POST" else b""
            return await client.request(method, url, content=body, headers=headers)

    return asyncio.run(story())


def preflight(cors: dict[str, Any], origin: str = PAGE, headers: str = "content-type", **settings: Any) -> Any:
    """The answer to what a browser asks before it sends."""
    asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": headers}
    return answer("OPTIONS", asked, cors, **settings)


def post(cors: dict[str, Any], origin: str = PAGE, **headers: str) -> httpx2.Response:
    return answer("POST", {"origin": origin, "content-type": "application/x-protobuf", **headers}, cors)


def test_by_default_no_page_may_send() -> None:
    """OTLP checklist 96: without origins a preflight is refused, and no answer names one."""
    assert preflight({}).status_code == 405
    assert not any(name.startswith("access-control") for name in post({}).headers)


@pytest.mark.parametrize(
    ("allowed", "origin", "taken"),
    [
        (PAGE, PAGE, True),
        (PAGE, "https://shop.example.com.evil.test", False),
        (PAGE, "http://shop.example.com", False),
        ("https://*.example.com", PAGE, True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evil.test/.example.com", False),
        ("https://*.example.com", "https://x.example_com", False),
        ("http://localhost:*", "http://localhost:5173", True),
    ],
)
def test_only_pages_of_allowed_origins_may_send(allowed: str, origin: str, taken: bool) -> None:
    """OTLP checklist 96: an origin is taken whole, a `*` in it stands for anything but a slash."""
    cors = {"allowed_origins": ["https://other.test", allowed]}

    asked, sent = preflight(cors, origin), post(cors, origin)

    assert asked.status_code == (200 if taken else 400)
    assert sent.status_code == 200
    for found in (asked, sent):
        assert found.headers.get("access-control-allow-origin") == (origin if taken else None)
    if taken:
        assert sent.headers["access-control-allow-credentials"] == "true"
        assert asked.headers["access-control-allow-methods"] == "POST"
        assert asked.headers["access-control-max-age"] == "7200"


def test_every_page_may_send_without_credentials() -> None:
    """OTLP checklist 96: browsers refuse `*` together with credentials, so they are not offered."""
    asked = preflight({"allowed_origins": ["*"], "max_age_s": 5})

    assert asked.headers["access-control-allow-origin"] == "*"
    assert asked.headers["access-control-max-age"] == "5"
    assert "access-control-allow-credentials" not in asked.headers


def test_headers_of_otlp_and_of_keys_are_allowed() -> None:
    """OTLP checklist 96: others only when they are configured."""
    cors = {"allowed_origins": [PAGE]}
    assert preflight(cors, headers="content-type,content-encoding,authorization,ts-api-key").status_code == 200
    assert preflight(cors, headers="x-mine").status_code == 400
    assert preflight({**cors, "allowed_headers": ["X-Mine"]}, headers="x-mine").status_code == 200


def test_a_preflight_needs_no_key() -> None:
    """OTLP checklist 96: browsers send no key with it; what follows needs one, and its refusal can be read."""
    cors = {"allowed_origins": [PAGE]}
    assert preflight(cors, **KEY).status_code == 200
    headers = {"origin": PAGE, "content-type": "application/json"}
    refused = answer("POST", headers, cors, **KEY)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    assert refused.headers["access-control-expose-headers"] == "retry-after"
