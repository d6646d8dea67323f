"""What a wheel knows of the commit that it was built of: an installed suite has no clone to ask."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface  # pyright: ignore[reportMissingImports]


class Commit(BuildHookInterface):
    """Writes commit.json into the wheel: evidence/record/environment.py reads it; null where git knows nothing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        ours = (top := self._git("rev-parse", "--show-toplevel")) is not None and Path(top) == root.resolve()
        commit = self._git("rev-parse", "HEAD") if ours else None
        changed = self._git("status", "--porcelain", "--untracked-files=no") if ours else None
        self.file = Path(self.directory, "commit.json")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({"commit": commit, "modified": None if changed is None else bool(changed)}))
        build_data["force_include"][str(self.file)] = "rnn_equivalence/suite/commit.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.file.unlink()

    def _git(self, *arguments: str) -> str | None:
        try:
            done = subprocess.run(("git", *arguments), cwd=self.root, text=True, capture_output=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None
