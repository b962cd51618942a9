"""Settings: reading the environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from flask import Flask

from decant import web, worker
from decant.config import count, flag, http_url, load, named_urls, read, seconds, setting, text
from decant.db import DatabaseSettings
from decant.errors import ConfigError
from decant.observability import LogSettings
from decant.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Example:
    """A group of settings with a value of each kind."""

    name: str | None = setting("NAME", text, "Name", default=None)
    copies: int = setting("COPIES", count, "Number of copies", default=1)
    wait_s: float = setting("WAIT_S", seconds, "Seconds to wait", default=1.5, formerly="PATIENCE_S")
    strict: bool = setting("STRICT", flag, "Reject unknown values", default=False)
    url: str | None = setting("URL", http_url, "Address", default=None)
    urls: Mapping[str, str] | None = setting("URLS", named_urls, "Addresses by name", default=None)


@dataclass(frozen=True, kw_only=True)
class Required:
    """A group with a setting that has no default."""

    token: str = setting("TOKEN", text, "Token of the service")


def test_read_takes_defaults_where_nothing_is_set() -> None:
    """An empty environment gives every optional setting its default."""
    assert read(Example, {}) == Example()


def test_read_parses_each_value() -> None:
    """Numbers, flags and named addresses are converted to their types."""
    given = {
        "COPIES": "3",
        "WAIT_S": "0.5",
        "STRICT": "true",
        "URLS": "a=https://example.com/a, b=https://example.com/b",
    }

    settings = read(Example, given)

    assert (settings.copies, settings.wait_s, settings.strict) == (3, 0.5, True)
    assert settings.urls == {"a": "https://example.com/a", "b": "https://example.com/b"}
    assert read(LogSettings, {"LOG_LEVEL": "debug"}).log_level == "DEBUG"


def test_read_counts_empty_as_not_set() -> None:
    """A template passes an empty text where it has no value."""
    assert read(Example, {"URL": " "}).url is None


@pytest.mark.parametrize(
    ("group", "variable", "value"),
    [
        (DatabaseSettings, "DATABASE_URL", "mysql://localhost/app"),  # another database
        (Example, "COPIES", "0"),  # below the minimum
        (Example, "COPIES", "-1"),  # a sign
        (Example, "COPIES", "many"),  # no number
        (Example, "WAIT_S", "inf"),  # infinite
        (Example, "WAIT_S", "nan"),  # no number
        (LogSettings, "LOG_LEVEL", "LOUD"),  # unknown
        (Example, "URL", "localhost:4566"),  # no scheme
        (Example, "URLS", "https://example.com/queue"),  # no name
        (Required, "TOKEN", ""),  # missing
    ],
)
def test_read_names_the_variable_that_is_bad(group: type, variable: str, value: str) -> None:
    """Each bad value is reported by its variable's name."""
    with pytest.raises(ConfigError) as caught:
        read(group, {variable: value})

    assert [problem.split(":")[0] for problem in caught.value.problems] == [variable]


def test_read_reports_all_problems_together() -> None:
    """One error lists every bad variable."""
    with pytest.raises(ConfigError) as caught:
        read(Example, {"COPIES": "many", "WAIT_S": "soon"})

    assert len(caught.value.problems) == 2


def test_read_names_the_new_name_of_a_renamed_variable() -> None:
    """A variable that was renamed is an error, since its value would be ignored without notice."""
    with pytest.raises(ConfigError, match="PATIENCE_S: is called WAIT_S now"):
        read(Example, {"PATIENCE_S": "3"})


def test_read_does_not_repeat_the_database_password() -> None:
    """A bad address is reported without its text, which contains a secret."""
    with pytest.raises(ConfigError) as caught:
        read(DatabaseSettings, {"DATABASE_URL": "mysql://user:hunter2@example.com/app"})

    assert "hunter2" not in str(caught.value)


def test_load_reads_the_environment_of_the_current_runtime() -> None:
    """Two runtimes in one process have settings of their own."""
    with Runtime({"NAME": "first"}).active():
        with Runtime({"NAME": "second"}).active():
            inner = load(Example).name

        assert (load(Example).name, inner) == ("first", "second")


def test_load_reads_once_until_reloaded() -> None:
    """Settings stay the same while the process runs, and are read again after a snapshot was restored."""
    variables = {"NAME": "before"}
    with Runtime(variables).active() as own:
        before = load(Example)
        variables["NAME"] = "after"
        cached = load(Example)
        own.reload()

        assert cached is before
        assert load(Example).name == "after"


@pytest.mark.parametrize("start", [web.lambda_handler, web.asgi_app], ids=["Lambda", "server"])
def test_start_reports_the_bad_values_of_every_group(start: Callable[[Flask], object]) -> None:
    """A bad value prevents the start rather than failing a request, and all bad values are in one error."""
    environ = {"DATABASE_URL": "postgresql://h/app?keepalives=1", "HTTP_TIMEOUT_S": "soon", "TASK_MARGIN_S": "0"}

    with Runtime(environ).active(), pytest.raises(ConfigError) as caught:
        start(Flask("started"))

    assert {problem.split(":")[0] for problem in caught.value.problems} == environ.keys()


def test_start_of_a_worker_reports_bad_values() -> None:
    """The handlers of queues and schedules start in the same way."""
    with Runtime({"DATABASE_POOL_SIZE": "none"}).active(), pytest.raises(ConfigError, match="DATABASE_POOL_SIZE"):
        worker.lambda_handler()
