"""The local cloud's own issuer of tokens: a key pair in the state folder, and `decant token` to sign with it."""

import ast
import importlib
import re
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from decant_cloud.bundle import bundle
from decant_cloud.paths import root

__all__ = ["ISSUER", "mint", "public_key", "required_scopes", "run", "with_token"]

ISSUER = "decant-local"
_SCOPE = re.compile(r"[a-z][\w.-]*:[a-z][\w.:-]*")

PLACEHOLDER = "not.a.token"
"""What events have for a token: one that is good would have to be a new one each hour."""


def run(*, state: Path, scope: str | None, subject: str, seconds: int) -> None:
    """Print a token of a subject with these scopes, by default all that the bundle's functions name."""
    print(mint(state, " ".join(required_scopes(root())) if scope is None else scope, seconds, subject))


def mint(state: Path, scope: str, seconds: int = 3600, subject: str = "local") -> str:
    """A token that the local cloud accepts.

    Args:
        state: Folder of the local cloud's data, which has the key.
        scope: Scopes, separated by spaces.
        seconds: Seconds for which it is valid.
        subject: The caller, as `auth.subject()` returns it.
    """
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": bundle().name, "sub": subject, "iat": now, "exp": now + seconds, "scope": scope}
    jwt = importlib.import_module("jwt")  # only now: the local cloud's start needs the key alone
    token: str = jwt.encode(claims, _key(state), algorithm="ES256")
    return token


def with_token(event: str, state: Path) -> str:
    """An event's text with a token that the local cloud accepts, with all scopes, where it has the place for one."""
    if PLACEHOLDER not in event:
        return event
    return event.replace(PLACEHOLDER, mint(state, " ".join(required_scopes(root()))))


def required_scopes(root: Path) -> list[str]:
    """Scopes that the code of a bundle names: texts such as `tasks:admin` in files that use `decant.auth`."""
    files = [path for folder in ("functions", "shared/domain") for path in (root / folder).rglob("*.py")]
    trees = (ast.parse(text) for path in files if "auth" in (text := path.read_text()))
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return sorted({text for text in constants if isinstance(text, str) and _SCOPE.fullmatch(text)})


def public_key(state: Path) -> str:
    """What the functions check tokens with, as PEM."""
    public = _key(state).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _key(state: Path) -> ec.EllipticCurvePrivateKey:
    """The pair, made when there is none; it opens nothing but this machine's own cloud."""
    path = state / "tokens.pem"
    if path.exists():
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101  # we wrote it below
        return loaded
    made = ec.generate_private_key(ec.SECP256R1())
    state.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made
