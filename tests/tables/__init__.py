"""The tables of docs/error-bounds.md, each by a command: python -m tests.tables NAME.

One module a table: a function that returns its rows as data, for the tests and for the command alike.
"""
