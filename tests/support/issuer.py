"""An OpenID Connect issuer: keys that it signs with, and the documents that it publishes, on a real port if asked."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm


class Issuer:
    """Signs with its newest key, and publishes those that it has made unless they were withdrawn."""

    def __init__(self, url: str = "https://issuer.test") -> None:
        self.url = url
        self.published: dict[str, dict[str, Any]] = {}
        self.away = False
        self.asked: list[str] = []
        self._count = 0
        self.make_key()

    def make_key(self) -> str:
        """A new key, published. Returns its name."""
        self._count += 1
        self.kid = f"key-{self._count}"
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(ECAlgorithm.to_jwk(self._private.public_key()))
        self.published[self.kid] = {**public, "kid": self.kid, "use": "sig", "alg": "ES256"}
        return self.kid

    def token(self, *, kid: str | None = "", **claims: Any) -> str:
        """A token for `tokensense` that is good for a minute, with other claims on top; `None` leaves one out.

        `kid` is the key that it names: none at all with `None`.
        """
        all_ = {"iss": self.url, "aud": "tokensense", "exp": int(time.time()) + 60, **claims}
        given = {name: value for name, value in all_.items() if value is not None}
        return jwt.encode(given, self._private, "ES256", {} if kid is None else {"kid": kid or self.kid})

    def fetch(self, url: str) -> bytes:
        """As a server would answer; raises OSError while it is away."""
        self.asked.append(url)
        if self.away:
            raise OSError("the issuer is away")
        if url == f"{self.url}/.well-known/openid-configuration":
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if url == f"{self.url}/keys":
            return json.dumps({"keys": list(self.published.values())}).encode()
        raise OSError("404")


@contextlib.contextmanager
def serving() -> Iterator[Issuer]:
    """An issuer on a free port of this machine."""
    issuer = Issuer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                body = issuer.fetch(f"{issuer.url}{self.path}")
            except OSError:
                self.send_error(503)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
