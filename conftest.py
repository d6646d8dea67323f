"""Registers the harness: every hook of the suite is in harness/plugin.py."""

from __future__ import annotations

pytest_plugins = ["harness.plugin"]
