"""A stage's parameters for `sam deploy`, and some more: what is given on the command line replaces samconfig.toml's.

python -m decant_cloud.release.parameters prod Release=1a2b3c
"""

import shlex
import sys

from decant_cloud.paths import root
from decant_cloud.template.stage import configured


def main(stage: str, *more: str) -> None:
    """Print the parameters in one line, for a shell; of those added, empty ones are left out."""
    added = dict(each.split("=", 1) for each in more)
    merged = configured(root(), stage) | {name: value for name, value in added.items() if value}
    print(shlex.join(f"{name}={value}" for name, value in merged.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
