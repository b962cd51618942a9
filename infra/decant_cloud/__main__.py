"""The command `decant`, also `python -m decant_cloud`."""

import sys

from decant_cloud import signals

__all__ = ["main"]


def main() -> int:
    """Run one command; returns the exit status."""
    signals.exit_at_once()
    from decant_cloud.cli import run  # noqa: PLC0415  # imports take up to a second, and a signal may arrive meanwhile

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
