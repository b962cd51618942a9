"""Settings: reading the environment."""

import pytest

from decant.config import Settings, read
from decant.errors import ConfigError
from infra.build import settings_table


def test_read_takes_defaults_where_nothing_is_set() -> None:
    """An empty environment gives every optional setting its default."""
    settings = read(Settings, {})

    assert settings.log_level == "INFO"
    assert settings.database_url is None


def test_read_parses_each_value() -> None:
    """Numbers, levels and named addresses come out as what they are."""
    settings = read(
        Settings,
        {
            "DATABASE_POOL_SIZE": "3",
            "HTTP_TIMEOUT_S": "0.5",
            "LOG_LEVEL": "debug",
            "TASK_QUEUE_URLS": "default=https://example.com/a, mail=https://example.com/b",
        },
    )

    assert settings.database_pool_size == 3
    assert settings.http_timeout_s == 0.5
    assert settings.log_level == "DEBUG"
    assert settings.task_queue_urls == {"default": "https://example.com/a", "mail": "https://example.com/b"}


def test_read_counts_empty_as_not_set() -> None:
    """A template passes an empty text where it has nothing to say."""
    assert read(Settings, {"DATABASE_URL": " "}).database_url is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgres://localhost/app"),  # a driver that is not async
        ("DATABASE_POOL_SIZE", "0"),  # a pool of nothing
        ("DATABASE_POOL_SIZE", "-1"),  # a sign
        ("DATABASE_POOL_SIZE", "many"),  # no number
        ("HTTP_TIMEOUT_S", "inf"),  # for ever
        ("HTTP_TIMEOUT_S", "nan"),  # no number at all
        ("LOG_LEVEL", "LOUD"),  # unknown
        ("AWS_ENDPOINT_URL", "localhost:4566"),  # no scheme
        ("TASK_QUEUE_URLS", "https://example.com/queue"),  # no name
    ],
)
def test_read_names_the_variable_that_is_bad(variable: str, value: str) -> None:
    """Each bad value is reported by its variable's name."""
    with pytest.raises(ConfigError) as caught:
        read(Settings, {variable: value})

    assert [problem.split(":")[0] for problem in caught.value.problems] == [variable]


def test_read_reports_all_problems_together() -> None:
    """Whoever mends the environment sees everything at once."""
    with pytest.raises(ConfigError) as caught:
        read(Settings, {"LOG_LEVEL": "LOUD", "HTTP_TIMEOUT_S": "soon"})

    assert len(caught.value.problems) == 2


def test_read_does_not_repeat_the_database_password() -> None:
    """A bad address is reported without its text, which holds a secret."""
    with pytest.raises(ConfigError) as caught:
        read(Settings, {"DATABASE_URL": "mysql://user:hunter2@example.com/app"})

    assert "hunter2" not in str(caught.value)


def test_readme_documents_every_setting() -> None:
    """The README's table says what the code says; `make docs` writes it."""
    assert settings_table.in_readme() == settings_table.table()
