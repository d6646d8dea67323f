"""What the frameworks warn of in a run: no error, and told once each at its end.

The filter that makes errors of warnings is for this suite's own tests alone: what judges a framework has the filters of
a user's program.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.running.guard import one_line
from evidence.words import many

# JAX warns of torch's compiler, which forks its workers, wherever JAX was imported
OUR_FILTERS = ("error", r"ignore:os\.fork\(\) was called:RuntimeWarning")
MOST_SHOWN, LONGEST = 50, 300  # warnings, and characters of one


class FrameworkWarnings:
    """seen: category and words of every warning, and how often it was shown."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Within it every warning is noted here, and is no error."""
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = self._note
            yield

    def _note(self, message: Warning | str, category: type[Warning], *_where: object) -> None:
        words = re.sub(r"0x[0-9a-f]{6,}", "0x...", one_line(message))  # an address differs each time
        self.seen[category.__name__, words[:LONGEST]] += 1

    def are_errors(self, item: pytest.Item) -> None:
        """Make errors of the warnings of a test of ours, unless its own marks, which count more, say otherwise."""
        item.add_marker(pytest.mark.filterwarnings(*OUR_FILTERS), append=False)

    def tell(self, terminal: pytest.TerminalReporter) -> None:
        if not self.seen:
            return
        if terminal.verbosity <= 0:
            terminal.write_line(f"The frameworks gave {many(len(self.seen), 'warning')}, no verdict; -v shows them.")
            return
        terminal.section("warnings of the frameworks")
        for (category, words), times in self.seen.most_common(MOST_SHOWN):
            terminal.write_line(f"{category}: {words} (shown {times} time{'s' * (times > 1)})")
        if (more := len(self.seen) - MOST_SHOWN) > 0:
            terminal.write_line(f"... and {more} more")
