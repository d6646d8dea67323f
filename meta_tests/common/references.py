"""Adapters of the reference, right and wrong: --adapter meta_tests.common.references:NAME. They need no framework."""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapters import Capabilities, NotOffered, Refusal, Result, Unsupported
from adapters.contract import Compiles, Idiom, cast_exactly, expect_device
from reference import Case, CellParameters, RNNSpec, forward
from reference.faults import FAULTS, implementation
from reference.judging.view import View, answer_of

LAST, HELD = View(output="last step", states="none"), View(masked="held")


class Mirror:
    """An adapter of the reference itself. built: what each call of build was given."""

    name, version = "mirror", "1.2"
    capabilities = Capabilities(offers=(("mask", True),))

    def __init__(self) -> None:
        self.built: list[tuple[RNNSpec, int, str, str | None]] = []

    def devices(self) -> tuple[str, ...]:
        return ("cpu", "cuda:0")

    def build(self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str, dtype: str | None) -> Any:
        self.built.append((spec, len(parameters), device, dtype))
        expect_device(device, self.devices())
        return spec, [cell.astype(cell.dtype) for cell in cast_exactly(parameters, dtype)]

    def run(self, module: Any, **inputs: Any) -> Result:
        return Result(*forward(*module, **inputs))


def shown(view: View, factor: int = 1) -> Callable[[Case, str], Result]:
    """An idiom's answer: what a view shows of the reference's, times a factor."""

    def answer(case: Case, device: str) -> Result:
        output, h_n = answer_of(view, case, *case.answer())
        return Result(None if output is None else output * output.dtype.type(factor), h_n)

    return answer


class Calling(Mirror):
    """It is called in two ways beside run: the output that is held is twice what it should be."""

    name = "calling"
    idioms = {  # noqa: RUF012 (a mapping that none changes)
        "last output": Idiom("for its last output", shown(LAST), LAST),
        "held": Idiom("as it holds", shown(HELD, 2), HELD),
        "elsewhere": Idiom("on another machine", shown(LAST), absent="there is no other machine"),
    }


class Doubling(Mirror):
    def run(self, module: Any, **inputs: Any) -> Result:
        output, h_n, *_ = super().run(module, **inputs)
        return Result(2 * output, h_n)


class Leaking(Mirror):
    """The reverse direction starts in the padding."""

    name = "leaking"

    def run(self, module: Any, **inputs: Any) -> Result:
        spec, parameters = module
        faulty = implementation([FAULTS["reverse_starts_in_padding"]], Case.answer)
        return Result(*faulty(Case(spec, parameters, **inputs)))


class Falling(Leaking):
    """It does so, and raises an exception in float16, in words that differ from case to case."""

    name = "falling"

    def run(self, module: Any, **inputs: Any) -> Result:
        if inputs["x"].dtype == "float16":
            raise MemoryError(f"no place for {inputs['x'].size} numbers")
        return super().run(module, **inputs)


class Reusing(Doubling):
    """Every answer lies in the same memory."""

    def run(self, module: Any, **inputs: Any) -> Result:
        result = super().run(module, **inputs)
        self.memory = getattr(self, "memory", result)
        for kept, array in zip(self.memory[:2], result[:2], strict=True):
            kept[...] = array
        return self.memory


class Refusing(Mirror):
    """Says no as adapters did before there were kinds of it."""

    def run(self, module: Any, **inputs: Any) -> Result:
        raise Unsupported("not on a Sunday")


class Declining(Mirror):
    def run(self, module: Any, **inputs: Any) -> Result:
        raise NotOffered("nobody can ask")


class Forbidding(Mirror):
    """Its framework says no to any h0, as declared; to what is unbatched by that exception, which is not."""

    capabilities = Capabilities(refused={(("h0", True),): Refusal("BufferError", "no state")})

    def run(self, module: Any, **inputs: Any) -> Result:
        if inputs["h0"] is not None or inputs["layout"] == "unbatched":
            raise BufferError("there is no state here")
        return super().run(module, **inputs)


class Crashing(Mirror):
    def build(self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str, dtype: str | None) -> Any:
        raise ZeroDivisionError("no units")


class Writing(Mirror):
    def run(self, module: Any, **inputs: Any) -> Result:
        inputs["x"][:] = 0
        return super().run(module, **inputs)


class Complaining(Mirror):
    def run(self, module: Any, **inputs: Any) -> Result:
        warnings.warn("slow", UserWarning, stacklevel=1)
        return super().run(module, **inputs)


class Showing(Mirror):
    """Shows its lower layer's output, which is wrong."""

    def run(self, module: Any, **inputs: Any) -> Result:
        output, h_n, *_ = super().run(module, **inputs)
        return Result(output, h_n, [np.zeros_like(output)])


class Moved(Mirror):
    """The next version: every output that is not zero is the next number, away from zero."""

    version = "1.3"

    def run(self, module: Any, **inputs: Any) -> Result:
        output, h_n, *_ = super().run(module, **inputs)
        away = np.copysign(np.asarray(np.inf, output.dtype), output)
        return Result(np.where(output == 0, output, np.nextafter(output, away)), h_n)


class Noting(Mirror):
    """Notes the x of each answer in the file that RNN_NOTES names. At the 30th case, it waits for ever.

    Of one process' cases but the last, every verdict has been reached when it waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def run(self, module: Any, **inputs: Any) -> Result:
        x = hashlib.sha256(inputs["x"].tobytes()).hexdigest()
        with Path(os.environ["RNN_NOTES"]).open("a", encoding="utf-8") as file:
            file.write("waiting\n" if x not in self.seen and len(self.seen) == 29 else f"{x}\n")
        while x not in self.seen and len(self.seen) == 29:
            time.sleep(1)
        self.seen.add(x)
        return super().run(module, **inputs)


class Odd(Mirror):
    """What an adapter says of itself that JSON does not hold as it is."""

    backend = None

    def environment(self) -> dict[Any, Any]:
        return {"half": np.float32(0.5), 1: ["a", "list"], "path": f"{Path.home()}/data", "none": None}

    def run(self, module: Any, **inputs: Any) -> Result:
        raise Unsupported(f"no such file: {Path.home()}/\udcff")


class Listing(Mirror):
    def environment(self) -> list[str]:
        return ["no dict"]


class Unloadable(Mirror):
    def __init__(self) -> None:
        raise OSError("libbroken.so: no such file")


class Nowhere(Mirror):
    def devices(self) -> tuple[str, ...]:
        return ()


class Alone(Mirror):
    """Needs a package beside its own."""

    def __init__(self) -> None:
        super().__init__()
        importlib.import_module("openvino")


class Unsure(Mirror):
    def environment(self) -> dict[str, str]:
        raise RuntimeError("no\nsuch call")


class Misnamed(Mirror):
    name = "two\nlines"


class Letters(Mirror):
    def devices(self) -> Any:
        return "cpu"


class Lost(Mirror):
    def devices(self) -> tuple[str, ...]:
        raise RuntimeError("the bus\nis gone")


class Undeclaring(Mirror):
    def capabilities_on(self, device: str) -> Any:
        return {device: "everything"}


class Compiling(Mirror):
    compiles: Any = True


class Elsewhere(Mirror):
    compiles = Compiles("traced", weights=True)  # a mode that it does not offer


class Fixed(Mirror):
    compiles = Compiles()


class Answerless(Mirror):
    def run(self, module: Any, **inputs: Any) -> Any:
        return Result(None, None)  # type: ignore[arg-type]


class Integer(Mirror):
    def run(self, module: Any, **inputs: Any) -> Result:
        output, h_n, *_ = super().run(module, **inputs)
        return Result(output.astype(np.int64), h_n.astype(np.int64))


class Talking(Mirror):
    """Prints, as frameworks do, where its answers might be expected."""

    def run(self, module: Any, **inputs: Any) -> Result:
        print("a framework's banner")
        os.write(1, b"and what its C++ says\n")
        return super().run(module, **inputs)


class Dying(Mirror):
    """Lives through cases of one step only."""

    def run(self, module: Any, **inputs: Any) -> Result:
        if inputs["x"].shape[1] > 1:
            self.die()
        return super().run(module, **inputs)

    def die(self) -> None:
        raise NotImplementedError


class Segfaulting(Dying):
    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class Exiting(Dying):
    def die(self) -> None:
        os._exit(3)


class Gasping(Dying):
    def die(self) -> None:
        os.write(2, b"loading\nout of\ttape\n\n")
        os._exit(4)


class Outlived(Dying):
    """A process that it started keeps its pipes open for a while."""

    def die(self) -> None:
        if os.fork() == 0:
            time.sleep(30)
        os._exit(5)


class Hanging(Dying):
    def die(self) -> None:
        time.sleep(600)


class Slow(Mirror):
    """A tenth of a second for each call."""

    def run(self, module: Any, **inputs: Any) -> Result:
        time.sleep(0.1)
        return super().run(module, **inputs)
