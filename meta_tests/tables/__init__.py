"""The tables of docs/error-bounds.md, each by a command: python -m meta_tests.tables NAME.

One module a table: a function that returns its rows as data, for the tests and for the command alike.
"""

import os

# The tables' matrices are small: threads cost more than they save. It counts where NumPy is not loaded yet, so for
# the command.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
