"""What `make up` does before LocalStack is on its way."""

from tests.loading import run_python


def test_start_imports_nothing_that_can_wait() -> None:
    """Half a second each, which LocalStack's own start has room for."""
    code = "import sys, infra.local.commands.up; print({'boto3', 'httpx', 'jwt', 'sqlalchemy'} & set(sys.modules))"

    assert run_python(code) == "set()\n"
