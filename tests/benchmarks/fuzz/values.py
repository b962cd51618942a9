"""Valid and hostile values, drawn from a seeded random number generator."""

import json
import string
from collections.abc import Callable, Mapping
from random import Random
from typing import Any
from uuid import UUID

__all__ = ["MEGABYTE", "encoded", "hostile_json", "hostile_text", "valid_value"]

MEGABYTE = 1_000_000

_TEXTS = (
    "",
    " ",
    "null",
    "true",
    "\0",
    "a\0b",
    "\ud800",
    "\udc00\ud800",
    "\r\nX-Injected: 1",
    "\x1b[31m",
    "' OR 1=1 --",
    "%00",
    "%s%n",
    "{0.__class__}",
    "../../../etc/passwd",
    "\u202eevil",
    "🧨" * 50,
    "a" * 300,
    "é" * 5_000,
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0000-00-00T00:00:00Z",
    "2026-02-30T24:61:61+99:99",
    "10000-01-01T00:00:00Z",
    "-inf",
    "NaN",
    "1e999",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{12345678-1234-5678-1234-567812345678}",
    "urn:uuid:12345678-1234-5678-1234-567812345678",
    "12345678123456781234567812345678",
    "a@b.c",
    '"><script>alert(1)</script>',
)

_JSON_NUMBERS = (
    "0",
    "-0.0",
    "-1",
    "2147483648",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-1e999",
    "1e-400",
    "0." + "3" * 400,
    "9" * 400,
    "9" * 5_000,
)

_JSON_MALFORMED = (
    "NaN",
    "Infinity",
    "-",
    "01",
    "1.",
    "'a'",
    "undefined",
    '"\\ud800"',
    '"\\x00"',
    '"\x01"',
    '"',
    "[",
    "",
)


def valid_value(random: Random, schema: Mapping[str, Any]) -> Any:
    """A value that has a schema of msgspec, except for its patterns."""
    if "$ref" in schema:
        return valid_value(random, schema["$defs"][schema["$ref"].rpartition("/")[2]] | {"$defs": schema["$defs"]})
    if "anyOf" in schema:
        return valid_value(random, random.choice(schema["anyOf"]) | {"$defs": schema.get("$defs", {})})
    if "enum" in schema:
        return random.choice(schema["enum"])
    if "prefixItems" in schema:  # a tuple
        return [valid_value(random, item | {"$defs": schema.get("$defs", {})}) for item in schema["prefixItems"]]
    low, high = schema.get("minimum", 0), schema.get("maximum", 1000)
    item = schema.get("items", {}) | {"$defs": schema.get("$defs", {})}
    made: dict[str, Callable[[], Any]] = {
        "integer": lambda: random.randint(low, high),
        "number": lambda: random.uniform(low, min(high, low + 0.2)),  # numbers are seconds to wait in this bundle
        "boolean": lambda: random.random() < 0.5,
        "array": lambda: [valid_value(random, item) for _ in range(random.randrange(4))],
        "string": lambda: _valid_text(random, schema.get("format")),
    }
    return made.get(schema.get("type", ""), lambda: None)()


def _valid_text(random: Random, text_format: str | None) -> str:
    if text_format == "uuid":
        return str(UUID(int=random.getrandbits(128)))
    if text_format == "date-time":
        return f"20{random.randrange(20, 40)}-0{random.randrange(1, 10)}-01T00:00:00Z"
    return "".join(random.choices(string.ascii_letters + ". _-", k=random.randrange(1, 30)))


def hostile_text(random: Random) -> str:
    """A text: with control characters, lone surrogates, extreme dates, of other types, or random."""
    if random.random() < 0.8:
        return random.choice(_TEXTS)
    return "".join(chr(random.randrange(0x3000)) for _ in range(random.randrange(1, 40)))


def hostile_json(random: Random) -> str:
    """A JSON text of any type; seldom malformed."""
    depth = random.choice([5, 500, 5_000, 100_000])
    opening, closing = random.choice([("[", "]"), ('{"a":', "}")])
    made: list[Callable[[], str]] = [
        lambda: random.choice(_JSON_NUMBERS),
        lambda: random.choice(["null", "true", "false", "[]", "{}", '""']),
        lambda: opening * depth + "1" + closing * depth,
        lambda: json.dumps("v" * MEGABYTE),
        lambda: "[" + ",".join(random.choice(["1", "null", "{}", '"a"']) for _ in range(2_000)) + "]",
        lambda: "{" + ",".join(f'"k{number}":{number}' for number in range(2_000)) + "}",
        lambda: random.choice(_JSON_MALFORMED),
        *[lambda: json.dumps(hostile_text(random))] * 3,
    ]
    return random.choice(made)()


def encoded(random: Random, text: str) -> str:
    """Percent-encode a text: all of it, only what has to be, with small letters, or wrongly."""
    data = text.encode("utf-8", "surrogatepass")
    match random.randrange(6):
        case 0:
            return "".join(f"%{byte:02x}" for byte in data)
        case 1:
            return random.choice(["%", "%zz", "%u0041", "%C0%AF", "%FF%FE", "%ED%A0%80", "%00", "+", "%2525"])
    safe = (string.ascii_letters + string.digits + "-._~").encode()
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in data)
