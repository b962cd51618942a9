"""`python -m decant worker`, and the commands of `decant.cli`."""

from decant.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
