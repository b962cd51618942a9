"""The admin routes: what they answer, and to whom."""

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

from decant import auth, loop, runtime, tokens
from tests import work
from tests.loading import Response, call, event, load_function
from tests.worlds import PostgresWorld

pytestmark = pytest.mark.usefixtures("database_url")

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(key: Any = KEY, algorithm: str = "ES256", *, kid: str | None = None, **changed: Any) -> str:
    """A good token, with claims of it replaced, or left out where they are None."""
    now = int(time.time())
    claims = {"iss": "us", "aud": "decant", "sub": "ada", "iat": now, "exp": now + 60, "scope": "a tasks:admin"}
    kept = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid} if kid else None)


def ask(function: str, bearer: str | None, **changed: Any) -> Response:
    """Give a function its event, with an Authorization header in place of the event's."""
    given = event(function, **changed)
    given["headers"].pop("Authorization"), given["multiValueHeaders"].pop("Authorization")
    if bearer is not None:
        given["headers"]["Authorization"] = bearer
        given["multiValueHeaders"]["Authorization"] = [bearer]
    return call(load_function(function), given)


@pytest.fixture(autouse=True)
def issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer that the functions trust."""
    monkeypatch.setenv("JWT_ISSUER", "us")
    monkeypatch.setenv("JWT_PUBLIC_PEM", PEM.decode())
    runtime.current().reload()


ADMIN = ["tasks_list", "tasks_revoke", "tasks_redrive", "queues_list"]


@pytest.mark.parametrize("function", ADMIN)
def test_admin_routes_ask_for_a_token(function: str) -> None:
    """Without one, 401 as problem details, with the scheme that is asked for."""
    answer = ask(function, None)

    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("function", ADMIN)
def test_admin_routes_ask_for_the_scope(function: str) -> None:
    """Without it, 403 with its name."""
    answer = ask(function, f"Bearer {token(scope='tasks:read tasks:administrator')}")

    assert answer.status == 403
    assert 'scope="tasks:admin"' in answer.headers["www-authenticate"]


def forged_with_the_public_key() -> str:
    """The old trick: HS256, with what everybody knows as its secret."""
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
        pytest.param(lambda: token(sub=None), id="nobody's"),
        pytest.param(lambda: token(nbf=int(time.time()) + 120), id="not good yet"),
        pytest.param(lambda: jwt.encode({"sub": "ada"}, "", "none"), id="unsigned"),
        pytest.param(forged_with_the_public_key, id="signed with the public key as a secret"),
        pytest.param(lambda: "not.a.token", id="no token"),
        pytest.param(lambda: token()[:-4] + "AAAA", id="tampered with"),
    ],
)
def test_token_that_is_not_good_is_refused(make: Callable[[], str]) -> None:
    """With 401, and without a word on what is wrong with it that would help to mend it."""
    answer = ask("tasks_list", f"Bearer {make()}")

    assert answer.status == 401
    assert "error=invalid_token" in answer.headers["www-authenticate"]


def test_no_issuer_refuses_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function whose issuer is not set answers an opaque 500, and nobody's request."""
    monkeypatch.delenv("JWT_ISSUER")
    runtime.current().reload()

    assert ask("tasks_list", f"Bearer {token()}").status == 500


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
    statuses = [ask("tasks_list", f"Bearer {token(kid='first')}").status for _ in range(3)]

    assert (statuses, published.asked) == ([200, 200, 200], 1)


def test_unknown_key_does_not_let_callers_ask_the_issuer_at_will(published: Published) -> None:
    """Made-up ids cost the issuer one request, and not one each."""
    statuses = {ask("tasks_list", f"Bearer {token(OTHER_KEY, kid=f'made-up-{n}')}").status for n in range(5)}

    assert (statuses, published.asked) == ({401}, 1)


def test_key_set_is_used_while_the_issuer_is_down(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key set that was fetched before outlives an outage of its issuer, with one request in a while."""
    ask("tasks_list", f"Bearer {token(kid='first')}")
    monkeypatch.setattr(tokens, "_FRESH_S", -1)
    monkeypatch.setattr(tokens, "_UNKNOWN_KEY_S", -1)
    monkeypatch.setattr(tokens, "_RETRY_S", -1)
    published.status = 500

    during = ask("tasks_list", f"Bearer {token(kid='first')}").status
    monkeypatch.setattr(tokens, "_RETRY_S", 60)
    later = [ask("tasks_list", f"Bearer {token(kid='first')}").status for _ in range(3)]

    assert (during, later, published.asked) == (200, [200] * 3, 2)


def test_key_set_has_a_maximum_age(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that an issuer may have revoked long ago are not accepted."""
    ask("tasks_list", f"Bearer {token(kid='first')}")
    for name in ("_FRESH_S", "_UNKNOWN_KEY_S", "_RETRY_S", "_STALE_S"):
        monkeypatch.setattr(tokens, name, -1)
    published.status = 500

    assert ask("tasks_list", f"Bearer {token(kid='first')}").status == 503


@pytest.mark.parametrize("body", [b"[]", b'{"keys": 1}', b'{"keys": [1]}', b'{"keys": []}', b"no JSON"])
def test_malformed_key_set_is_unavailable(published: Published, body: bytes) -> None:
    """It is the issuer's fault and not the caller's, and it is fetched once in a while, not for every request."""
    published.body = body

    statuses = [ask("tasks_list", f"Bearer {token(kid='first')}").status for _ in range(3)]

    assert (statuses, published.asked) == ([503] * 3, 1)


async def test_key_set_is_fetched_once_for_concurrent_requests(published: Published) -> None:
    """Requests that arrive together wait for one fetch."""
    with Flask("concurrent").test_request_context(headers={"Authorization": f"Bearer {token(kid='first')}"}):
        callers = await asyncio.gather(*(auth.require("tasks:admin") for _ in range(10)))

    assert (set(callers), published.asked) == ({"ada"}, 1)


@pytest.mark.parametrize("claims", [{"token_use": "id"}, {"typ": "ID"}, {"nonce": "n-0S6"}, {"at_hash": "MTIz"}])
def test_id_token_is_rejected(claims: dict[str, str]) -> None:
    """An ID token says who logged in to an application; it grants no access, even with a scope."""
    assert ask("tasks_list", f"Bearer {token(**claims)}").status == 401


def test_key_of_another_kind_is_refused(published: Published) -> None:
    """A token that names a known key, and an algorithm of another kind."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert ask("tasks_list", f"Bearer {token(private, 'RS256', kid='first')}").status == 401
    assert published.asked == 1


def test_tasks_are_listed_page_by_page() -> None:
    """With the filters of the query."""
    jobs = loop.run(work.add.delay_many([(n,) for n in range(3)]))

    first = ask("tasks_list", f"Bearer {token()}", query="state=PENDING&count=2").json()
    second = ask("tasks_list", f"Bearer {token()}", query=f"state=PENDING&count=2&before={first['before']}").json()

    assert [each["id"] for page in (first, second) for each in page["tasks"]] == sorted(
        (job.id for job in jobs), reverse=True
    )
    assert second["before"] is None


@pytest.mark.parametrize("query", ["state=LOST", "count=0", "count=201", "before=42", "other=1"])
def test_list_that_makes_no_sense_is_refused(query: str) -> None:
    """The field is named."""
    answer = ask("tasks_list", f"Bearer {token()}", query=query)

    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


def test_task_is_revoked() -> None:
    """And its state is answered."""
    job = work.add.delay(1)

    answer = ask("tasks_revoke", f"Bearer {token()}", path=f"/tasks/{job.id}/revoke", body="")

    assert (answer.status, answer.json()["state"]) == (200, "REVOKED")


def test_task_that_does_not_exist_cannot_be_revoked() -> None:
    """404, as where its state is asked for."""
    assert ask("tasks_revoke", f"Bearer {token()}").status == 404


def test_failed_tasks_are_put_back() -> None:
    """And their ids are answered."""
    job = work.fail.delay()
    loop.run(PostgresWorld().run())

    answer = ask("tasks_redrive", f"Bearer {token()}", body='{"error": "Flaky"}')

    assert (answer.status, answer.json()) == (200, {"ids": [job.id]})


@pytest.mark.parametrize("body", ["{}", '{"since": "2026-11-22T09:00:00"}', '{"ids": ["42"]}', '{"other": 1}'])
def test_redrive_that_says_not_what_is_refused(body: str) -> None:
    """Nothing is put back."""
    assert ask("tasks_redrive", f"Bearer {token()}", body=body).status == 422


def test_queues_are_told_of() -> None:
    """What waits on each."""
    work.add.delay(1)

    answer = ask("queues_list", f"Bearer {token()}").json()

    assert [(each["queue"], each["due"]) for each in answer["queues"]] == [("default", 1)]
    assert answer["counted_at_most"] == 10_000
