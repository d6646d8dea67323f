"""python -m meta_tests.make_declarations: write evidence/verify/declarations.json, what each known adapter declares.

`python -m rnn_equivalence verify` holds a record against it, where no framework is installed. What is not installed
here stays as it is written: no environment holds every framework. To be run again whenever an adapter declares
something else, which meta_tests/evidence/verify/test_declarations.py notices.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import adapters
from adapters.contract import capabilities_on, idioms_of
from evidence.record.lines import declarations, idiom_lines, refusals
from evidence.verify.declarations import FORMAT, PATH
from reference.files import write_atomically

BACKENDS = {"keras": ("tensorflow", "torch", "jax", "numpy", "openvino")}
DEVICES = ("cpu", "cuda")
# what an adapter's version is made of: distributions, each for its version
VERSIONS = {
    "torch": "{torch}",
    "keras": "{keras} on {backend} {of backend}",
    "flax": "{flax} on jax {jax}",
    "equinox": "{equinox} on jax {jax}",
    "mlx": "{mlx}",
    "onnxruntime": "{onnxruntime}",
    "onnx": "{onnx}",
    "torch-onnx": "{torch} in ONNX Runtime {onnxruntime}",
    "openvino": "{openvino}",
    "tract": "{tract}",
    "litert": "{ai-edge-litert} of TensorFlow {tensorflow}",
    "paddle": "{paddlepaddle}",
    "reference": "on NumPy {numpy}",
}


def declared(name: str) -> list[dict[str, Any]]:
    """What the adapter says of itself here, on each kind of device: on the backend that is chosen, if it has any."""
    adapter = adapters.load(name)
    found = []
    for device in DEVICES:
        capabilities = capabilities_on(adapter, device)
        backend = str(getattr(adapter, "backend", ""))
        found.append(
            {
                "source": name,
                "adapter": adapter.name,
                "backend": backend,
                "device": device,
                "version": VERSIONS[name].replace("{backend}", backend).replace("{of backend}", f"{{{backend}}}"),
                "unsupported": declarations(
                    {(one,): why for one, why in capabilities.unsupported.items()} | dict(capabilities.together)
                ),
                "refused": refusals(capabilities.refused),
                "idioms": idiom_lines(idioms_of(adapter)),
                "emulated": declarations({(one,): how for one, how in capabilities.emulated.items()}),
                "arithmetics": declarations(capabilities.arithmetics),
                "compiles": (compiles := getattr(adapter, "compiles", None)) and compiles._asdict(),
            }
        )
    return found


def declared_here(name: str) -> list[dict[str, Any]] | None:
    """None of an adapter whose framework is not here."""
    try:
        return declared(name)
    except adapters.LoadError as error:
        if not error.absent:
            raise
        return None


def everything() -> Iterator[dict[str, Any]]:
    """All adapters, in a process for each backend."""
    written = json.loads(PATH.read_text(encoding="utf-8"))["targets"]
    for name in adapters.KNOWN:
        for backend in BACKENDS.get(name, ("",)):
            environment = {**os.environ, **({"KERAS_BACKEND": backend} if backend else {})}
            code = f"from meta_tests import make_declarations as m; print(m.json.dumps(m.declared_here({name!r})))"
            done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
            now = json.loads(done.stdout.splitlines()[-1])
            before = [one for one in written if (one["source"], one["backend"]) == (name, backend)]
            yield from before if now is None else now


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(entry) for entry in everything())
    write_atomically(PATH, f'{{"format": {json.dumps(FORMAT)}, "targets": [\n{lines}\n]}}\n')
