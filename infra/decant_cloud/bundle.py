"""The bundle's configuration: the table `[tool.decant]` of its pyproject.toml, and its file `.env`.

    [tool.decant]
    name = "myshop"                   # of stacks, logs, tokens and alarms

    [tool.decant.parameters]          # parameters of template.yaml that the environment sets in the local cloud
    CallerRate = "CALLER_RATE_PER_MINUTE"

    [tool.decant.secrets]             # secrets that the local cloud creates, with their values there
    "myshop/mail-token" = "local"

A variable in `.env` sets the parameter of its name too: MAIL_URL sets MailUrl.
"""

import functools
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from decant_cloud.errors import CommandError
from decant_cloud.paths import root

__all__ = ["Bundle", "bundle"]

_NAME = re.compile("[a-z][a-z0-9]{0,19}")

_NOT_FROM_ENVIRONMENT = re.compile(
    r"Stage|Release|PermissionsBoundary|Database\w*|Subnet\w*|\w*SubnetIds|\w*SecurityGroup\w*|Vpc\w*|Network\w*|Nat|Zones"
)
"""Parameters that another project's environment must not set: they select the database and the network."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle's configuration.

    Attributes:
        name: Name of the product: up to 20 lower-case letters and digits.
        variables: Environment variable of each template parameter that the environment sets.
        secrets: Values of secrets in the local cloud, by name.
        environment: Variables of the file `.env`.
    """

    name: str
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    environment: Mapping[str, str]

    def stack(self, stage: str) -> str:
        """Name of the stack of a stage at AWS."""
        return f"{self.name}-{stage}"

    def parameters(self, declared: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Values of the template's parameters that the environment or `.env` sets.

        Args:
            declared: The section `Parameters` of the template.
            environ: Variables; they override those of `.env`.
        """
        return dict(self._parameters(declared, environ))

    def _parameters(self, declared: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for name in declared:
            if _NOT_FROM_ENVIRONMENT.fullmatch(name):
                continue
            variable = self.variables.get(name) or _variable(name)
            if (name in self.variables or variable in self.environment) and (
                value := environ.get(variable) or self.environment.get(variable)
            ):
                yield name, value


def bundle(folder: Path | None = None) -> Bundle:
    """Read the configuration of the bundle in a folder, or of the one that commands work on.

    Raises:
        CommandError: pyproject.toml is missing or invalid.
    """
    return _read(folder or root())


@functools.cache
def _read(folder: Path) -> Bundle:
    path = folder / "pyproject.toml"
    try:
        table = tomllib.loads(path.read_text()).get("tool", {}).get("decant", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if not isinstance(name := table.get("name"), str) or not _NAME.fullmatch(name):
        raise CommandError(f"{path} needs a name of up to 20 lower-case letters and digits: [tool.decant] name = …")
    variables = table.get("parameters", {})
    if refused := sorted(filter(_NOT_FROM_ENVIRONMENT.fullmatch, variables)):
        raise CommandError(f"{path}: the environment must not set {', '.join(refused)}; see [tool.decant.parameters].")
    return Bundle(
        name=name,
        variables=variables,
        secrets={name: _text(value) for name, value in table.get("secrets", {}).items()},
        environment={name: value for name, value in dotenv_values(folder / ".env").items() if value},
    )


def _variable(parameter: str) -> str:
    """The variable of a parameter: MAIL_URL of MailUrl."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).upper()


def _text(secret: Any) -> str:
    """A secret's value; a table is stored as JSON."""
    return secret if isinstance(secret, str) else json.dumps(secret)
