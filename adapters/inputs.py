"""What every framework's adapter does around it: check what is asked, bring it to other axes, and the answer back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reference import CellParameters, Gradients, Lengths, RNNSpec
from reference import layout as layouts
from reference.arguments import check_cotangents, check_inputs, check_parameters
from reference.recurrence import initial_states
from reference.spec import DTYPES, dtype_name, expect, expect_array, expect_word

from .capabilities import MODES, NOT_AMONG_OFFERS, Capabilities, NotOffered, capabilities_on, features_of, variants_of
from .contract import ACTIVATIONS, Compiles, Result, cast_exactly, expect_device


class Inputs(NamedTuple):
    """What run is asked, once it is checked, in the axes of one layout; and how an answer gets back to the caller's.

    A Framework's _run reads so, for a framework that is batch first and takes masks:

        inputs = inputs.to("batch_first")
        output, h_n = ...  # of inputs.x, inputs.h0 and inputs.valid
        return inputs.result([output], h_n)

    x: (batch, time, input_size), (time, batch, input_size) or, unbatched, (time, input_size).
    h0: None, or (num_layers * num_directions, batch, hidden_size), without the batch axis when unbatched; of a cell
        with several states a tuple of such arrays, h first (mapping.theirs puts them in a framework's order).
    lengths: None, or an integer for each sequence: (batch,), also when unbatched, where there is one.
    mask: None, or booleans with the axes of x but the last; not beside lengths.
    layout: the axes that x, h0 and mask have, and an answer has.  asked: the layout in which the caller gave them.
    """

    x: np.ndarray
    h0: Any
    lengths: np.ndarray | None
    mask: np.ndarray | None
    layout: str
    asked: str

    def to(self, layout: str) -> Inputs:
        """The same in "batch_first" or "time_first", as views; an unbatched sequence becomes a batch of one."""
        mask = None if self.mask is None else _moved(self.mask[..., None], self.layout, layout)[..., 0]
        h0 = layouts.each_state(lambda state: layouts.state_to_batched(state, self.layout), self.h0)
        return Inputs(_moved(self.x, self.layout, layout), h0, self.lengths, mask, layout, self.asked)

    @property
    def valid(self) -> np.ndarray | None:
        """Where a step counts, by lengths or mask: booleans with the axes of x but the last; None: everywhere."""
        if self.lengths is None:
            return self.mask
        axes = layouts.sequence_axes(self.layout)
        steps = layouts.valid_steps(self.lengths, self.x.shape[axes.index("time")])  # (time, batch)
        return {"batch_first": steps.T, "time_first": steps, "unbatched": steps.ravel()}[self.layout]

    @property
    def some_lengths(self) -> np.ndarray | None:
        """The lengths; None of an empty batch, too, of which frameworks take none."""
        return None if self.lengths is None or not self.lengths.size else self.lengths

    @property
    def int32_lengths(self) -> Any:
        """The same as JAX and MLX take them: int32; of an unbatched sequence a number."""
        lengths = self.some_lengths
        return None if lengths is None else lengths.astype(np.int32)[0 if self.layout == "unbatched" else ...]

    def result(self, outputs: Sequence[np.ndarray], h_n: Any, zero_padding: bool = False) -> Result:
        """An answer in the caller's layout, as views.

        outputs: of one layer after another, in the axes of x; only the last where the framework does not show them all.
        h_n: in the axes of h0.  zero_padding: whether outputs still have to be set to zero where no step counts.
        """
        if zero_padding:
            outputs = [self.zeroed(output) for output in outputs]
        outputs = [_moved(output, self.layout, self.asked) for output in outputs]
        return Result(outputs[-1], self._given_back(h_n), outputs[:-1] or None)

    def zeroed(self, sequence: np.ndarray) -> np.ndarray:
        """A sequence in the axes of x, with zeros where no step counts."""
        valid = self.valid
        return sequence if valid is None else np.where(valid[..., None], sequence, sequence.dtype.type(0))

    def start(self, spec: RNNSpec) -> Any:
        """h0, and zeros where there is none: of what is not given no gradient can be asked."""
        states = initial_states(spec, layouts.sequence_to_time_first(self.x, self.layout), self.h0, self.layout)
        return layouts.from_state_tuple([layouts.state_from_batched(state, self.layout) for state in states])

    def cotangents(self, given: tuple[Any, Any]) -> tuple[Any, Any]:
        """Those of output and h_n in the caller's layout, either of which may be None, as of this one."""
        g_output, g_h_n = given
        g = None if g_output is None else _moved(g_output, self.asked, self.layout)
        if self.asked == "unbatched" and self.layout != "unbatched":
            g_h_n = layouts.each_state(lambda state: layouts.state_to_batched(state, self.asked), g_h_n)
        return g, g_h_n

    def gradients(self, found: Gradients) -> Gradients:
        """Those of this layout in the caller's, as views."""
        found = self.gradients_alone(found)
        output = _moved(found.output, self.layout, self.asked)
        return found._replace(output=output, h_n=self._given_back(found.h_n))

    def gradients_alone(self, found: Gradients) -> Gradients:
        """The same, with output and h_n as they are: where an idiom shows a part of them."""
        x, h0 = _moved(found.x, self.layout, self.asked), self._given_back(found.h0)
        return found._replace(x=x, h0=h0)

    def _given_back(self, states: Any) -> Any:
        if self.asked == self.layout or self.asked != "unbatched":
            return states
        return layouts.each_state(lambda state: layouts.state_from_batched(state, self.asked), states)


def _moved(sequence: np.ndarray, source: str, target: str) -> np.ndarray:
    if source == target:
        return sequence
    return layouts.sequence_from_time_first(layouts.sequence_to_time_first(sequence, source), target)


class Known(NamedTuple):
    """What run must know of a module before it asks it anything.

    native: whatever the adapter calls.  spec, dtype: of the module.  mode, device: how and where it is called.
    """

    native: Any
    spec: RNNSpec
    dtype: np.dtype
    mode: str = "eager"
    device: str = "cpu"


class Framework(ABC):
    """An adapter (contract.Adapter) whose methods check their arguments; the same with an underscore do the rest."""

    name: str
    version: str
    framework: Any
    capabilities: Capabilities
    compiles: Compiles | None = None

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
        layout: str | None = None,
    ) -> Any:
        check_parameters(spec, parameters)
        if dtype is not None:
            expect_word("dtype", dtype, DTYPES)
        expect_device(device, self.devices())
        expect_word("mode", mode, tuple(MODES))
        # in any dtype a module can be built, and read again, also where it is refused when it is run
        asked = {} if mode == "eager" else {"dtype": dtype or dtype_name(parameters[0].dtype)}
        capabilities = capabilities_on(self, device)
        lacking = spec.cell != "elman" and ("cell", spec.cell) not in capabilities.offers
        if why := capabilities.unsupported.get(("cell", spec.cell), NOT_AMONG_OFFERS * lacking):
            raise NotOffered(f"cell {spec.cell}: {why}")
        capabilities.require({"mode": mode, **variants_of(spec), **asked})
        return self._make(spec, cast_exactly(parameters, dtype), device, mode, layout)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: Any = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        known = self._known(module)
        return self._run(known, self._inputs(known, x, h0, lengths, layout, mask))

    def gradients(
        self,
        module: Any,
        x: np.ndarray,
        h0: Any = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
        cotangents: tuple[np.ndarray | None, Any] | None = None,
    ) -> Gradients:
        known = self._known(module)
        inputs = self._inputs(known, x, h0, lengths, layout, mask, gradients=True)
        return self._gradients(module, known, inputs, check_cotangents(known.spec, x, layout, cotangents))

    def _inputs(
        self, known: Known, x: Any, h0: Any, lengths: Lengths, layout: str, mask: Any, gradients: bool = False
    ) -> Inputs:
        """What is asked of a module, once it is checked; NotOffered where that is not offered."""
        check_inputs(known.spec, x, h0, lengths, layout, known.dtype, mask)
        asked = features_of(known.spec, x, h0, lengths, layout, mask=mask, mode=known.mode, gradients=gradients)
        capabilities_on(self, known.device).require(asked)
        steps = None if lengths is None else np.atleast_1d(np.asarray(lengths)).astype(np.int64)
        return Inputs(x, h0, steps, mask, layout, layout)

    def set_weights(self, module: Any, parameters: Sequence[CellParameters]) -> None:
        known = self._known(module)
        check_parameters(known.spec, parameters)
        expect_word("dtype", parameters[0].dtype.name, (known.dtype.name,))
        self._fill(known, parameters)

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_device(device, self.devices())
        expect_array("weight", weight, 2)
        expect_array("bias", bias, 1)
        expect_array("x", x, max(np.ndim(x), 1))
        outputs, features = weight.shape
        expect(bias.shape == (outputs,), "bias shape", bias.shape, f"({outputs},), one for each row of weight")
        expect(x.shape[-1] == features, "x shape", x.shape, f"{features} features, as weight has columns")
        dtypes = {"weight": weight.dtype.name, "bias": bias.dtype.name, "x": x.dtype.name}
        expect(len({*dtypes.values()}) == 1, "dtype", dtypes, "one for all")
        return self._dense(weight, bias, x, device)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_device(device, self.devices())
        expect_word("nonlinearity", nonlinearity, ACTIVATIONS)
        expect_array("a", a, np.ndim(a))
        return self._activation(a, nonlinearity, device)

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        """In the layout of inputs, in which the cotangents are too."""
        raise NotOffered(f"gradients: {NOT_AMONG_OFFERS}")

    @abstractmethod
    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """The module. The parameters are of its dtype; layout: as it was given to build."""

    @abstractmethod
    def _known(self, module: Any) -> Known:
        """A module that build returned, or a user's own. NotOffered, with the reason, for one that run cannot ask."""

    @abstractmethod
    def _run(self, known: Known, inputs: Inputs) -> Result:
        """The answer: of inputs.to(a layout that the framework takes), given back by its `result`."""

    def _fill(self, known: Known, parameters: Sequence[CellParameters]) -> None:
        """Set a module's weights to others: in an adapter that keeps what it compiled for any weights."""
        raise NotOffered(f"set_weights: {self.name} compiles weights into what it builds, or the adapter lacks it")

    @abstractmethod
    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray: ...

    @abstractmethod
    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray: ...


def expect_built(module: Any, *kinds: type) -> None:
    """Raise NotOffered for a module of another kind than build returns."""
    if not isinstance(module, kinds):
        raise NotOffered(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
