"""Cold starts under Lambda's own runtime client: `make bench-cold`.

Each function starts from the unpacked layer in two trees, by turns:

    compiled   as `sam build` makes it here
    default    the same files without bytecode, as `sam build` leaves a layer by default; Lambda cannot write any

What counts are the ratios: both sides of each come from the same run, and times are medians.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.cold.quota import share_of
from tests.benchmarks.cold.starts import Built, ColdStart
from tests.benchmarks.cold.surroundings import BARE, COMPILED, DEFAULT, Surroundings, surroundings

UNDER_QUOTA = frozenset({BARE, "async_response", "users_get"})
"""What is measured under the quota too, where one start by default takes half a minute."""

type Medians = Mapping[tuple[str, str], ColdStart]
"""By the function's name and the tree's."""


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-cold", description="Measure cold starts.")
    parser.add_argument("--rounds", type=int, default=9, help="cold starts of each function at full speed")
    parser.add_argument("--quota-rounds", type=int, default=3, help="cold starts of each function under the quota")
    parser.add_argument(
        "--memory",
        type=int,
        nargs="+",
        default=[256],
        help="MB of memory, each of whose share of a processor is a quota",
    )
    arguments = parser.parse_args()
    with surroundings() as all_of_it:
        for name, layer in all_of_it.layers.items():
            print(f"Layer, {name}: {_megabytes(layer):.1f} MB unzipped")
        print(f"\nAt full speed, {arguments.rounds} starts each")
        _print_table(_medians(all_of_it, all_of_it.functions, 1, arguments.rounds))
        few = [each for each in all_of_it.functions if each.described.name in UNDER_QUOTA]
        for memory_mb in arguments.memory:
            share = share_of(memory_mb)
            print(f"\nWith {share:.2f} of a processor, as {memory_mb} MB get, {arguments.quota_rounds} starts each")
            _print_table(_medians(all_of_it, few, share, arguments.quota_rounds))


def _medians(all_of_it: Surroundings, functions: list[Built], share: float, rounds: int) -> Medians:
    starts = defaultdict[tuple[str, str], list[ColdStart]](list)
    for _ in range(rounds):
        for function in functions:
            for tree in all_of_it.layers:
                starts[function.described.name, tree].append(all_of_it.cold_start(function, tree, share))
    return {key: _median(each) for key, each in starts.items()}


def _median(starts: list[ColdStart]) -> ColdStart:
    return ColdStart(
        init_s=statistics.median(each.init_s for each in starts),
        first_s=statistics.median(each.first_s for each in starts),
    )


def _print_table(medians: Medians) -> None:
    print(f"{'':<16}{'init, ms':>20}{'':>9}{'first request, ms':>29}{'':>9}{'init by':>12}")
    print(f"{'':<16}{COMPILED:>10}{DEFAULT:>10}{'ratio':>9}{COMPILED:>19}{DEFAULT:>10}{'ratio':>9}{'bare Flask':>12}")
    bare_s = medians[BARE, COMPILED].init_s
    for name in dict.fromkeys(name for name, _tree in medians):
        ours, theirs = medians[name, COMPILED], medians[name, DEFAULT]
        print(
            f"{name:<16}{ours.init_s * 1000:>10.0f}{theirs.init_s * 1000:>10.0f}{ours.init_s / theirs.init_s:>9.2f}"
            f"{ours.first_s * 1000:>19.1f}{theirs.first_s * 1000:>10.1f}{ours.first_s / theirs.first_s:>9.2f}"
            f"{ours.init_s / bare_s:>12.2f}"
        )


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1_000_000


if __name__ == "__main__":
    main()
