"""The command line of the local cloud."""

import pytest

from decant_cloud.local.arguments import parser


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--port", "99999"], "'99999' is no port; write one from 1 to 65535", id="a port that cannot be"),
        pytest.param(["--debug-port", "five"], "'five' is no port", id="a word for a port"),
        pytest.param(["--stack", "My-Stack"], "'My-Stack' is no name for a stack", id="a stack that logs cannot tell"),
    ],
)
def test_up_refuses_what_cannot_be(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line says what is wrong, and what to write."""
    with pytest.raises(SystemExit):
        parser().parse_args(["up", *arguments])

    assert told in capsys.readouterr().err.splitlines()[-1]


def test_up_takes_its_ports_and_its_name_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `PORT=4600 STACK=mine make up` sets them."""
    for name, value in {"PORT": "4600", "DEBUG_PORT": "5700", "STACK": "mine"}.items():
        monkeypatch.setenv(name, value)

    given = parser().parse_args(["up"])

    assert (given.port, given.debug_port, given.stack) == (4600, 5700, "mine")
