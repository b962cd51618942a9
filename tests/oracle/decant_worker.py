"""The worker of Decant for the oracle's programs: `python -m tests.oracle.decant_worker`."""

from decant.cli import main
from tests.oracle import alias

if __name__ == "__main__":
    alias.install()
    raise SystemExit(main(["worker", "-A", "tests.oracle.program.worker", "--poll", "0.02", "--loglevel", "ERROR"]))
