"""Where a run took place, as far as it can decide a number: no host name, no path, no variable that is not listed."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
USER_FOLDER = Path(os.environ.get("RNN_EQUIVALENCE_FOLDER", ROOT))  # of the user, in which a run leaves its files
VARIABLES = (
    "CI", "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "HYPOTHESIS_PROFILE", "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64", "JAX_PLATFORMS", "KERAS_BACKEND", "MKL_CBWR", "MKL_NUM_THREADS", "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS",
    "TF_CUDNN_DETERMINISTIC", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "XLA_FLAGS",
)  # fmt: skip
FOLDERS = [
    (str(folder), name)
    for folder, name in ((ROOT, "<suite>"), (Path(sys.prefix), "<python>"), (Path(sys.base_prefix), "<python>"),
                         (Path.cwd(), "<folder>"), (Path.home(), "<home>"))
    if len(folder.parts) > 1
]  # fmt: skip


def environment() -> dict[str, Any]:
    """Python, system, CPU, NumPy's BLAS, the GPU driver, the listed variables that are set, the packages installed."""
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "CPU": cpu(),
        "CPUs": os.cpu_count(),
        "NumPy": np.__version__,
        "BLAS": blas(),
        "driver": driver(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "packages": packages(),
    }


def without_paths(value: Any) -> Any:
    """Text in which the folders of this machine are named by what they are: the suite, Python's, the user's."""
    if isinstance(value, str):
        for folder, name in FOLDERS:
            value = value.replace(folder, name)
    return value


def cpu() -> str:
    """The processor's name; where the system does not tell, its architecture."""
    named = re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def blas() -> str | None:
    found = np.show_config(mode="dicts")  # type: ignore[call-overload]
    about = (found or {}).get("Build Dependencies", {}).get("blas", {})
    return about.get("openblas configuration") or " ".join(filter(None, (about.get("name"), about.get("version"))))


def driver() -> str | None:
    """The version of NVIDIA's kernel module; None where there is none."""
    text = _text("/proc/driver/nvidia/version")
    named = re.search(r"Kernel Module.*?(\d+(?:\.\d+)+)", text)
    return named[1] if named else next(iter(text.splitlines()), None)


def _text(path: str) -> str:
    """What a file of the system says; nothing where it is not there."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def packages() -> dict[str, str]:
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def suite() -> dict[str, Any]:
    """This suite: its version, its git commit, and whether tracked files differ from it; null outside a clone."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    ours = (top := _git("rev-parse", "--show-toplevel")) is not None and Path(top) == ROOT
    if not ours and (built := ROOT / "commit.json").exists():  # a wheel: hatch_build.py wrote it
        return {"version": version, **json.loads(built.read_text(encoding="utf-8"))}
    commit = _git("rev-parse", "HEAD") if ours else None
    changed = _git("status", "--porcelain", "--untracked-files=no") if ours else None
    return {"version": version, "commit": commit, "modified": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return None
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else None
