"""The command: python -m meta_tests.tables NAME [--nightly] [--framework NAME ...]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

import adapters
from meta_tests.tables import activation, diagnosis, false_alarms, residual, sensitivity

WIDTH = 100


def show_activation(args: argparse.Namespace) -> Table:
    columns = ("implementation", "dtype", "arguments", "worst", "at a =", "underflow", "allowed", "within")
    table = _table("Activation: worst error of tanh, in units of u |tanh(a)|", *columns)
    for row in activation.rows(_adapters(args), 12_000_000 if args.nightly else 1_000_000):
        table.add_row(row.implementation, row.dtype, f"{row.arguments:,}", f"{row.worst:.2f}", f"{row.at:.4g}",
                      f"{row.below:.2g}", f"{row.allowed:g}", "yes" if row.within else "NO")  # fmt: skip
    table.caption = "underflow: largest error where tanh(a) is below the smallest normal number, as a fraction of it"
    return table


def show_false_alarms(args: argparse.Namespace) -> Table:
    table = _table("False alarms: simulated correct implementations, judged",
                   "arithmetic", "bound", "cases", "rejected", "vacuous", "largest fraction")  # fmt: skip
    for row in false_alarms.rows(100_000 if args.nightly else 2_800):
        table.add_row(row.arithmetic, row.bound, f"{row.cases:,}", str(row.rejected), f"{row.vacuous:,}",
                      f"{row.largest_fraction:.5f}")  # fmt: skip
    table.caption = "largest fraction: of the bound, used by any element of any case"
    return table


def show_sensitivity(args: argparse.Namespace) -> Table:
    table = _table("Sensitivity: smallest relative change that the step bound sees",
                   "arithmetic", "hidden_size", "one weight", "activation")  # fmt: skip
    for row in sensitivity.rows(seeds=15 if args.nightly else 3):
        table.add_row(row.arithmetic, str(row.hidden_size), _relative(row.weight), _relative(row.activation),
                      end_section=row.hidden_size == sensitivity.SIZES[-1])  # fmt: skip
    table.caption = (
        f"torch's initialisation, as many inputs as units, of unit variance, batch {sensitivity.BATCH}, "
        f"{sensitivity.TIME} steps; the weight is the recurrent one of median magnitude"
    )
    return table


def show_residual(args: argparse.Namespace) -> Table:
    table = _table("Residual: mean of |actual| - |expected|, in units of u times the largest output",
                   "framework", "dtype", "cases", "mean", "scatter", "largest fraction")  # fmt: skip
    for row in residual.rows(_adapters(args), 200 if args.nightly else 20):
        table.add_row(row.framework, row.dtype, str(row.cases), f"{row.mean:+.4f}", f"{row.scatter:.4f}",
                      f"{row.largest_fraction:.3f}")  # fmt: skip
    table.caption = "scatter: standard deviation over the cases; fraction: of the step bound"
    return table


def show_diagnosis(args: argparse.Namespace) -> Table:
    adapter = adapters.load((args.framework or ["torch"])[0])
    table = _table(f"Diagnosis: faults planted in {adapter.name} {adapter.version}, on drawn cases",
                   "family", "faults", "disagreements", "alone", "first", "tied", "wrong", "missed", "right",
                   "misnamed")  # fmt: skip
    rows = diagnosis.rows(adapter, *((5, 306) if args.nightly else (2, 50)))
    args.failed = rows[-1].right < 1 - diagnosis.MOST_WRONG
    for row in rows:
        table.add_row(row.family, *(str(count) for count in list(vars(row).values())[1:-1]), f"{row.right:.1%}",
                      str(row.misnamed), end_section=row.family == diagnosis.PAIRS)  # fmt: skip
    table.caption = "misnamed: named wrongly when the planted fault is not among those that are tried"
    return table


TABLES = {
    "activation": show_activation,
    "false-alarms": show_false_alarms,
    "sensitivity": show_sensitivity,
    "residual": show_residual,
    "diagnosis": show_diagnosis,
}


def _table(title: str, *columns: str) -> Table:
    """An empty table, numbers to the right."""
    table = Table(title=title)
    words = ("family", "implementation", "framework", "arithmetic", "dtype", "bound", "within")
    for column in columns:
        table.add_column(column, justify="left" if column in words else "right")
    return table


def _relative(change: float) -> str:
    return "none" if change == float("inf") else f"{change:.1e}"


def _adapters(args: argparse.Namespace) -> list[adapters.Adapter]:
    """Those named, else every installed one; one that is named and absent raises ImportError."""
    return [adapters.load(name) for name in args.framework or [a.name for a in adapters.available() if a.loads]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m meta_tests.tables", description="The tables of the documents.")
    parser.add_argument("name", choices=TABLES)
    parser.add_argument("--nightly", action="store_true", help="many more arguments, cases or seeds")
    parser.add_argument("--framework", action="append", default=[], metavar="NAME", choices=adapters.KNOWN,
                        help=f"measure this framework only ({', '.join(adapters.KNOWN)}); may be repeated")  # fmt: skip
    args = parser.parse_args(arguments)
    Console(width=WIDTH, highlight=False).print(TABLES[args.name](args))
    return 1 if getattr(args, "failed", False) else 0


if __name__ == "__main__":
    raise SystemExit(main())
