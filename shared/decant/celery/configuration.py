"""Methods of apps that read and use settings."""

import os
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from decant.celery.conf import Settings
from decant.celery.exceptions import ImproperlyConfigured

__all__ = ["Configured"]


class Configured:
    """An app with settings.

    Attributes:
        conf: The settings.
    """

    conf: Settings

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Read settings from a module, its name, an object or a mapping; see `Settings.read`."""
        del force
        try:
            self.conf.read(obj, namespace)
        except ImproperlyConfigured:
            if not silent:
                raise

    def config_from_envvar(self, variable_name: str, silent: bool = False, force: bool = False) -> None:
        """Read settings from the module that an environment variable names."""
        module = os.environ.get(variable_name)
        if module:
            self.config_from_object(module, silent, force)
        elif not silent:
            raise ImproperlyConfigured(f"The environment variable {variable_name} is not set.")

    def add_defaults(self, values: Any) -> None:
        """Settings that apply where no others were given."""
        given = values() if callable(values) else values
        for name, value in given.items():
            if name not in self.conf.changes:
                self.conf[name] = value

    @property
    def timezone(self) -> tzinfo:
        """Zone of naive times and of crontabs: the setting `timezone`, UTC by default."""
        return ZoneInfo(str(self.conf.timezone or "UTC"))

    def now(self) -> datetime:
        """The present time in the app's zone."""
        return datetime.now(self.timezone)

    @property
    def modules(self) -> list[str]:
        """Modules that workers import."""
        names: list[str] = []
        for setting in (self.conf.imports, self.conf.include):
            names += [setting] if isinstance(setting, str) else list(setting or ())
        return names
