"""The correlation id on the wire."""

import re

__all__ = ["HEADER", "sane"]

HEADER = "x-correlation-id"

sane = re.compile(r"[A-Za-z0-9._-]{1,128}").fullmatch
"""Whether a caller's own id is fit for headers, logs and URIs."""
