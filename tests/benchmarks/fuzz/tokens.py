"""Authorization headers of every kind, from a valid token to none."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from random import Random

from decant_cloud.local.tokens import mint, public_key

__all__ = ["Tokens"]


class Tokens:
    """Values of Authorization headers for a local cloud.

    Args:
        state: The local cloud's folder, which holds the key of its issuer.

    Attributes:
        valid: A token for the admin routes, with its scheme.
    """

    def __init__(self, state: Path) -> None:
        token = mint(state, "tasks:admin users:read")
        head, claims, signature = token.split(".")
        unsigned = f"{_part({'alg': 'none'})}.{claims}."
        symmetric = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{claims}"
        forged = hmac.digest(public_key(state).encode(), symmetric.encode(), hashlib.sha256)
        self.valid = f"Bearer {token}".encode()
        self._others = [
            f"Bearer {mint(state, 'tasks:read')}".encode(),
            f"Bearer {mint(state, 'tasks:admin', -3600)}".encode(),
            f"Bearer {unsigned}".encode(),
            f"Bearer {symmetric}.{_base64(forged)}".encode(),
            f"Bearer {head}.{claims}.{signature[::-1]}".encode(),
            f"Bearer {_part({'alg': 'ES256', 'kid': 'x' * 2_000})}.{claims}.{signature}".encode(),
            f"Bearer {_part({'alg': ['ES256']})}.{claims}.{signature}".encode(),
            f"Bearer {head}.{_base64(b'[' * 5_000)}.{signature}".encode(),
            f"bearer\t{token}".encode(),
            b"Bearer",
            b"Bearer ",
            b"Bearer ..",
            b"Bearer a.b.c",
            b"Bearer \xff\xfe\xe9",
            b"Bearer " + b"a" * 7_000,
            b"Basic dXNlcjpwYXNzd29yZA==",
            b"Negotiate",
            b"",
        ]

    def other(self, random: Random) -> bytes:
        """A token that is wrong in some way."""
        return random.choice(self._others)


def _part(members: dict[str, object]) -> str:
    return _base64(json.dumps(members).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
