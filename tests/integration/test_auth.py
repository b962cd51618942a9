"""`auth.require`: which callers a route accepts, with the keys of a real issuer."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask
from jwt.algorithms import ECAlgorithm

from decant import auth, runtime, tokens
from decant.web import lambda_handler
from tests.loading import Context, rest_request

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(key: Any = KEY, algorithm: str = "ES256", *, kid: str | None = None, **changed: Any) -> str:
    """A good token, with claims of it replaced, or left out where they are None."""
    now = int(time.time())
    claims = {"iss": "us", "aud": "decant", "sub": "ada", "iat": now, "exp": now + 60, "scope": "a tasks:admin"}
    kept = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid} if kid else None)


app = Flask(__name__)


@app.get("/tasks")
async def view() -> dict[str, str]:
    """Return the caller's subject."""
    return {"subject": await auth.require("tasks:admin")}


def request(authorization: str | None) -> tuple[int, dict[str, str]]:
    """Status and headers of the route's response to a request with an Authorization header or without."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = lambda_handler(app)(rest_request("/tasks", **headers), Context())
    return response["statusCode"], {name.lower(): value for name, value in response["headers"].items()}


def status(authorization: str | None) -> int:
    """Status of the route's response."""
    return request(authorization)[0]


@pytest.fixture(autouse=True)
def issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer that the route trusts."""
    monkeypatch.setenv("JWT_ISSUER", "us")
    monkeypatch.setenv("JWT_AUDIENCE", "decant")
    monkeypatch.setenv("JWT_PUBLIC_PEM", PEM.decode())
    runtime.current().reload()


def test_token_with_the_scope_is_accepted() -> None:
    """The scope is one of several in the token."""
    assert status(f"Bearer {token()}") == 200


def test_token_is_required() -> None:
    """Without one, the response is 401 as problem details, with the required scheme."""
    code, headers = request(None)

    assert (code, headers["content-type"]) == (401, "application/problem+json")
    assert headers["www-authenticate"].startswith("Bearer")


def test_scope_is_required() -> None:
    """Without it, the response is 403 with its name."""
    code, headers = request(f"Bearer {token(scope='tasks:read tasks:administrator')}")

    assert code == 403
    assert 'scope="tasks:admin"' in headers["www-authenticate"]


def forged_with_the_public_key() -> str:
    """The old trick: HS256, with the public key as its secret."""
    head, claims, _ = token().split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    signature = hmac.new(PEM, f"{head}.{claims}".encode(), hashlib.sha256).digest()
    return f"{head}.{claims}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: token(OTHER_KEY), id="another's key"),
        pytest.param(lambda: token(exp=int(time.time()) - 120), id="expired"),
        pytest.param(lambda: token(exp=None), id="never expires"),
        pytest.param(lambda: token(iss="them"), id="another issuer"),
        pytest.param(lambda: token(aud="shop"), id="for another audience"),
        pytest.param(lambda: token(sub=None), id="no subject"),
        pytest.param(lambda: token(nbf=int(time.time()) + 120), id="not good yet"),
        pytest.param(lambda: jwt.encode({"sub": "ada"}, "", "none"), id="unsigned"),
        pytest.param(forged_with_the_public_key, id="signed with the public key as a secret"),
        pytest.param(lambda: "not.a.token", id="no token"),
        pytest.param(lambda: token()[:-4] + "AAAA", id="tampered with"),
    ],
)
def test_token_that_is_not_good_is_refused(make: Callable[[], str]) -> None:
    """With 401, and without a word on what is wrong with it that would help to mend it."""
    code, headers = request(f"Bearer {make()}")

    assert code == 401
    assert "error=invalid_token" in headers["www-authenticate"]


@pytest.mark.parametrize("setting", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_missing_setting_rejects_everybody(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function whose issuer or audience is not set responds to every request with an opaque 500."""
    monkeypatch.delenv(setting)
    runtime.current().reload()

    assert status(f"Bearer {token()}") == 500


class Published:
    """An issuer's JWKS address.

    Attributes:
        asked: Number of requests so far.
        status: Status of the responses.
        body: Replaces the key set, when it is set.
    """

    def __init__(self, **keys: ec.EllipticCurvePrivateKey) -> None:
        self.asked = 0
        self.status = 200
        self.body: bytes | None = None
        documents = [
            json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "alg": "ES256"} for kid, key in keys.items()
        ]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.body or json.dumps({"keys": documents}).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """Keys that are fetched, and not given."""
    server = Published(first=KEY)
    monkeypatch.delenv("JWT_PUBLIC_PEM")
    monkeypatch.setenv("JWT_JWKS_URL", server.url)
    runtime.current().reload()
    yield server
    server.close()


def test_published_key_is_fetched_once(published: Published) -> None:
    """It is found by its id, and kept."""
    statuses = [status(f"Bearer {token(kid='first')}") for _ in range(3)]

    assert (statuses, published.asked) == ([200, 200, 200], 1)


def test_unknown_key_does_not_let_callers_ask_the_issuer_at_will(published: Published) -> None:
    """Made-up ids cost the issuer one request, and not one each."""
    statuses = {status(f"Bearer {token(OTHER_KEY, kid=f'made-up-{n}')}") for n in range(5)}

    assert (statuses, published.asked) == ({401}, 1)


def test_key_set_is_used_while_the_issuer_is_down(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key set that was fetched before outlives an outage of its issuer, with one request in a while."""
    status(f"Bearer {token(kid='first')}")
    monkeypatch.setattr(tokens, "_FRESH_S", -1)
    monkeypatch.setattr(tokens, "_UNKNOWN_KEY_S", -1)
    monkeypatch.setattr(tokens, "_RETRY_S", -1)
    published.status = 500

    during = status(f"Bearer {token(kid='first')}")
    monkeypatch.setattr(tokens, "_RETRY_S", 60)
    later = [status(f"Bearer {token(kid='first')}") for _ in range(3)]

    assert (during, later, published.asked) == (200, [200] * 3, 2)


def test_key_set_has_a_maximum_age(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that an issuer may have revoked long ago are not accepted."""
    status(f"Bearer {token(kid='first')}")
    for name in ("_FRESH_S", "_UNKNOWN_KEY_S", "_RETRY_S", "_STALE_S"):
        monkeypatch.setattr(tokens, name, -1)
    published.status = 500

    assert status(f"Bearer {token(kid='first')}") == 503


@pytest.mark.parametrize("body", [b"[]", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys": []}', b"no JSON"])
def test_malformed_key_set_is_unavailable(published: Published, body: bytes) -> None:
    """It is the issuer's fault and not the caller's, and it is fetched once in a while, not for every request."""
    published.body = body

    statuses = [status(f"Bearer {token(kid='first')}") for _ in range(3)]

    assert (statuses, published.asked) == ([503] * 3, 1)


async def test_key_set_is_fetched_once_for_concurrent_requests(published: Published) -> None:
    """Requests that arrive together wait for one fetch."""
    with Flask("concurrent").test_request_context(headers={"Authorization": f"Bearer {token(kid='first')}"}):
        callers = await asyncio.gather(*(auth.require("tasks:admin") for _ in range(10)))

    assert (set(callers), published.asked) == ({"ada"}, 1)


@pytest.mark.parametrize("claims", [{"token_use": "id"}, {"typ": "ID"}, {"nonce": "n-0S6"}, {"at_hash": "MTIz"}])
def test_id_token_is_rejected(claims: dict[str, str]) -> None:
    """An ID token identifies the user to an application; it grants no access, even with a scope."""
    assert status(f"Bearer {token(**claims)}") == 401


def test_key_of_another_kind_is_refused(published: Published) -> None:
    """A token that names a known key, and an algorithm of another kind."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert status(f"Bearer {token(private, 'RS256', kid='first')}") == 401
    assert published.asked == 1
