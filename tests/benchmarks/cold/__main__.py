"""Cold starts under Lambda's own runtime client: `make bench-cold`.

Each function starts from the unpacked layer in several variants, in turn:

    compiled     as `sam build` makes it here
    default      the same files without bytecode, as `sam build` leaves a layer by default; Lambda cannot write any
    METRICS=1    compiled, with metrics: Powertools' module is imported at the first one

With `BASE=<working tree of another version>` the variants are this version and that one, both compiled. Only the ratios
count: both sides of a ratio come from the same run, and times are medians.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.cold.quota import share_of
from tests.benchmarks.cold.starts import ColdStart
from tests.benchmarks.cold.surroundings import BARE, Surroundings, Variant, surroundings
from tests.benchmarks.progress import progress
from tests.benchmarks.results import Comparison, write

UNDER_QUOTA = frozenset({BARE, "async_response", "users_get"})
"""Functions that are measured under the quota too, where one start by default takes half a minute."""

BY_DEFAULT = UNDER_QUOTA | {"start_task", "task_events", "task_worker"}
"""Functions that differ in what they import; all functions take ten minutes."""

type Medians = Mapping[tuple[str, str], ColdStart]
"""By the function's name and the variant's label."""


def main() -> None:
    """Build, measure and print."""
    arguments = _arguments()
    with surroundings(arguments.base) as made:
        for variant in made.variants:
            print(f"Layer, {variant.label}: {_megabytes(variant.layer):.1f} MB unzipped")
        common = set.intersection(*(set(each.functions) for each in made.variants))
        names = [each for each in made.variants[0].functions if each in common & (arguments.functions or common)]
        print(f"\nAt full speed, {arguments.rounds} starts each")
        full_speed = _medians(made, names, 1, arguments.rounds)
        _print_tables(made.variants, full_speed)
        few = [each for each in names if each in UNDER_QUOTA]
        for memory_mb in arguments.memory if arguments.quota_rounds else []:
            share = share_of(memory_mb)
            print(f"\nWith {share:.2f} of a processor, as {memory_mb} MB get, {arguments.quota_rounds} starts each")
            _print_tables(made.variants, _medians(made, few, share, arguments.quota_rounds))
        write("cold", _comparisons(made.variants, full_speed), ["flask", "sqlalchemy", "asyncpg"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-cold", description="Measure cold starts.")
    parser.add_argument("--base", type=Path, help="working tree of the version to compare with")
    parser.add_argument("--rounds", type=int, default=3, help="cold starts of each function at full speed")
    parser.add_argument(
        "--quota-rounds", type=int, default=0, help="cold starts of each function under the quota; or 0"
    )
    parser.add_argument(
        "--functions",
        type=lambda text: None if text == "all" else {BARE, *text.split(",")},
        default=BY_DEFAULT,
        help=f"names of functions, separated by commas, or all; by default {', '.join(sorted(BY_DEFAULT))}",
    )
    parser.add_argument(
        "--memory",
        type=int,
        nargs="+",
        default=[256],
        help="MB of memory, each of whose share of a processor is a quota",
    )
    return parser.parse_args()


def _medians(made: Surroundings, names: list[str], share: float, rounds: int) -> Medians:
    starts = defaultdict[tuple[str, str], list[ColdStart]](list)
    turns = [(name, variant) for _ in range(rounds) for name in names for variant in made.variants]
    for name, variant in progress(turns, f"cold starts with {share:.2f} of a processor"):
        starts[name, variant.label].append(made.cold_start(variant, name, share))
    return {key: _median(each) for key, each in starts.items()}


def _median(starts: list[ColdStart]) -> ColdStart:
    return ColdStart(
        init_s=statistics.median(each.init_s for each in starts),
        first_s=statistics.median(each.first_s for each in starts),
    )


def _comparisons(variants: list[Variant], medians: Medians) -> list[Comparison]:
    names = dict.fromkeys(name for name, _label in medians)
    return [
        Comparison(
            f"init of {name}",
            "ms",
            {each.label: medians[name, each.label].init_s * 1000 for each in variants},
            more_is_better=False,
        )
        for name in names
    ]


def _print_tables(variants: list[Variant], medians: Medians) -> None:
    reference, *others = variants
    for other in others:
        _print_table(medians, reference.label, other.label)


def _print_table(medians: Medians, this: str, other: str) -> None:
    width = max(9, len(this), len(other)) + 1
    headings = f"{this:>{width}}{other:>{width}}{'ratio':>7}"
    print(f"\n{'':<16}{'init, ms':>{2 * width}}{'':>7}{'first request, ms':>{2 * width}}{'':>7}{'init by':>12}")
    print(f"{'':<16}{headings}{headings}{'bare Flask':>12}")
    bare_s = medians[BARE, this].init_s
    for name in dict.fromkeys(name for name, _label in medians):
        own, peer = medians[name, this], medians[name, other]
        print(
            f"{name:<16}{own.init_s * 1000:>{width}.0f}{peer.init_s * 1000:>{width}.0f}"
            f"{own.init_s / peer.init_s:>7.2f}{own.first_s * 1000:>{width}.1f}{peer.first_s * 1000:>{width}.1f}"
            f"{own.first_s / peer.first_s:>7.2f}{own.init_s / bare_s:>12.2f}"
        )


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1_000_000


if __name__ == "__main__":
    main()
