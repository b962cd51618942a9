"""The local database's address: without its password for the screen, and in files for the SAM CLI."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

__all__ = ["ENVIRONMENT_FILE", "PARAMETERS_FILE", "without_password", "write_private", "write_sam_files"]

PARAMETERS_FILE = "sam-parameters.yaml"
"""Parameters of the template for `sam deploy --config-env local`; named in samconfig.toml."""

ENVIRONMENT_FILE = "sam-environment.json"
"""Environment variables for `sam local` (`--env-vars`); named in samconfig.toml."""


def without_password(url: str) -> str:
    """The address as it may be printed."""
    parts = urlsplit(url)
    credentials, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials.partition(':')[0]}{at}{host}"))


def write_sam_files(folder: Path, url: str) -> None:
    """Write the files from which the SAM CLI reads the address, so that no configuration contains a password.

    Args:
        folder: State folder of the local cloud.
        url: SQLAlchemy address, with its password.
    """
    # JSON is YAML; the SAM CLI reads parameters from files named *.yaml only.
    write_private(folder / PARAMETERS_FILE, json.dumps({"DatabaseUrl": url}))
    write_private(folder / ENVIRONMENT_FILE, json.dumps({"Parameters": {"DATABASE_URL": url}}))


def write_private(path: Path, text: str) -> None:
    """Write a file that only this account can read, also while it is written."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
