"""How large a file from elsewhere may be, and what it says. Each limit is checked before anything is made of the file.

A file that is refused costs at most a second and 200 MB; what the suite writes is far below every limit.
"""

from __future__ import annotations

# A case. The largest that the suite asks takes less than 1 MiB.
CASE_BYTES = 32 * 2**20  # its text, and so each array: 32 MiB of text become 150 MB while they are read
CASE_VALUES = 500_000  # numbers, words, lists and objects in it: an empty list takes 2 bytes of text and 64 of memory
CASE_AXIS = 2**17  # of an array, which takes no bytes where another axis is 0: the reference takes seconds for it
CASE_LAYERS = 1_000  # a layer of one unit takes 300 bytes of text and 20 us to decode

# A list of known failures, and a file of constraints, which people write by hand
LIST_BYTES = 2**18  # some 1,000 entries
LIST_LINE = 2_000  # characters: tomllib's time grows with the square of a dotted name's parts
PINS_BYTES = 2**20

# A record. That of this release has 28 MB, 17,000 verdicts, 3 runs, 7 targets of 72 cells in one; 3 times less in gzip.
RECORD_BYTES = 4 * 2**30  # of text: 2 million verdicts, at 1.6 kB each
RECORD_RATIO = 200  # of the text to what is stored: 64 zero bytes of text in each of gzip's bits are possible
LINE_BYTES = 4 * 2**20  # 30 times the longest line of the release
LINE_VALUES = 50_000  # as CASE_VALUES, but each may become a Python object of an error's list, of 1 kB
MESSAGE = 100_000  # characters of a framework's words that are recorded
RUNS = 100
KEPT_BYTES = 8 * 2**20  # the runs' first and last lines, which are kept in memory: as objects 10 times as much
TARGETS = 100  # of a run
CELLS = 10_000  # of all targets of a run: each is counted
DECLARATIONS = 200  # of a target: each is compared with each cell
PACKAGES = 10_000
VERDICTS = 1_000_000  # of a file: `merge` keeps 150 bytes of each
PROPERTIES = 300  # of a run: each is counted in each cell; the suite has fewer than 100
TESTS = 50_000  # that did not pass, of a file: 10 targets have 16,000
TESTS_BYTES = 128 * 2**20  # and their words
TORN = 1_000  # lines of a run that was cut off: a process that is killed leaves one
