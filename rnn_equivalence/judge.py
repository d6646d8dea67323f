"""judge: is a model of a user's own what its equations say? Of two: are they the same function on an input?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from adapters import Adapter, load
from adapters.__main__ import script_of, trial_of, words_of
from adapters.contract import expect_device, idiom_of
from adapters.mapping import differing
from adapters.own import Layer, Model, OwnStack, Question, cases_of, inputs_in, model_of
from adapters.running.trial import Trial, examine
from adapters.running.usable import devices_of, expect_capabilities_on
from findings.states import told, triggered
from reference import Case, judge_pair
from reference.files import write_atomically

RIGHT = ("agrees", "finding")


@dataclass(frozen=True)
class Way:
    """How layers are asked.  framework: what is asked in place of the framework of the model; that one when empty."""

    device: str
    idiom: str
    framework: str


@dataclass(frozen=True)
class Asked:
    """A model, and the adapter that is asked for its layers, with its name."""

    model: Model
    name: str
    adapter: Adapter

    def trials(self, cases: Sequence[Case], way: Way) -> Iterator[Trial]:
        """What comes of each layer's case; it is printed as it comes."""
        for layer, case in zip(self.model.layers, cases, strict=True):
            print(f"\n{' '.join(filter(None, (self.model.source, layer.name)))}")
            yield self._trial(layer, case, way)
        for where, why in self.model.unread.items():
            print(f"\n{self.model.source} {where}\nnot judged: {why}")

    def _trial(self, layer: Layer, case: Case, way: Way) -> Trial:
        why = "in the idiom" if way.idiom else f"in {way.framework}" if way.framework else ""
        if why:
            trial = trial_of(self.adapter, self.name, case, way.device, idiom=way.idiom)
        else:
            stack = OwnStack(self.adapter, layer.module, case, way.device)
            trial = examine(self.adapter, case, way.device, stack=stack)
            why = stack.why
        present = triggered(trial, self.adapter, self.name)
        trial = told(trial, self.adapter, self.name, present=present)
        print(words_of(trial))
        print(f"asked: a layer that is built of its parameters ({why})" if why else "asked: the layer itself")
        for one in present:
            print(f"this version has {one.id}, which the case triggers: {one.title}. To avoid it: {one.avoid}")
        return trial


def command(
    models: Sequence[str], layer: str, inputs: Path | None, script: Path | None, way: Way, question: Question
) -> int:
    """Judge one model, or compare two; returns the exit status: 0 yes, 1 no.

    Raises ImportError, OSError, TypeError or ValueError, in a sentence, for what cannot be used.
    """
    question = replace(question, given={} if inputs is None else inputs_in(inputs))
    lies = "cpu" if way.framework else way.device
    asked = [_asked(model_of(source, lies, layer), way) for source in models]
    cases, said = cases_of(asked[0].model, question)
    if other := _other_kind(asked[0].model, asked[-1].model):
        print(f"NOT THE SAME FUNCTION: {other}")
        return 1
    several = [[replace(case, parameters=layer.parameters) for case, layer in zip(cases, one.model.layers, strict=True)]
               for one in asked]  # fmt: skip
    print(said)
    trials = [list(one.trials(some, way)) for one, some in zip(asked, several, strict=True)]
    if script:
        _write(script, [(one, trial) for one, some in zip(asked, trials, strict=True) for trial in some], way)
    right = all(trial.outcome in RIGHT for some in trials for trial in some)
    same = [_same(*pair) for pair in zip(asked[0].model.layers, asked[-1].model.layers, trials[0], trials[-1],
                                         strict=True)] if len(asked) > 1 else []  # fmt: skip
    return int(not right or not all(same) or any(one.model.unread for one in asked))


def _asked(model: Model, way: Way) -> Asked:
    """Raises ValueError for a device, or an idiom, that is not there."""
    name = way.framework or model.framework
    adapter = load(name) if way.framework else model.adapter
    expect_device(way.device, devices_of(adapter, name))
    expect_capabilities_on(adapter, name, way.device)
    idiom_of(adapter, way.idiom)
    return Asked(model, name, adapter)


def _other_kind(one: Model, other: Model) -> str:
    """In what the layers of two models differ beside numbers; empty where they do not."""
    if len(one.layers) != len(other.layers):
        raise ValueError(f"{other.source}: got {len(other.layers)} recurrent layers, expected {len(one.layers)}, as "
                         f"{one.source} has: name such layers with module:object")  # fmt: skip
    wrong = dict[str, str]()
    for pair in zip(one.layers, other.layers, strict=True):
        a, b = ({field.name: getattr(layer.spec, field.name) for field in fields(layer.spec) if field.compare}
                | {"dtype": layer.parameters[0].dtype.name} for layer in pair)  # fmt: skip
        wrong |= {name: f"{name} {a[name]!r} and {b[name]!r}" for name in a if a[name] != b[name]}
    return ", ".join(wrong.values())


def _same(one: Layer, other: Layer, first: Trial, second: Trial) -> bool:
    """Whether two layers have the same parameters, and gave the same answer; it is printed, with what differs."""
    different = list(_differences(one, other))
    print("\n" + "\n".join(different or ["all parameters are equal, biases that are added by their sum"]))
    if first.answer is None or second.answer is None:
        print("NOT COMPARED: one of them gave no answer")
        return False
    verdict = judge_pair(first.case, first.answer, second.answer, (first.arithmetic, second.arithmetic))
    print(f"both answers: {verdict}")
    if different and verdict.outcome == "disagrees":  # a port that goes wrong does so in a known way, mostly
        print(f"the second: {replace(second, case=first.case, outcome='disagrees').diagnosis()}")
    same = not different and verdict.outcome == "agrees"
    if same:
        print("THE SAME FUNCTION on this input: equal parameters, and answers within both bounds")
    elif not different and verdict.outcome == "vacuous":
        print("NOT KNOWN: equal parameters, and an input on which the bounds say nothing")
    else:
        answers = {"agrees": "within both bounds", "vacuous": "of which the bounds say nothing"}
        print(f"NOT THE SAME FUNCTION: {'other' if different else 'equal'} parameters, and answers "
              f"{answers.get(verdict.outcome, 'outside both bounds')}")  # fmt: skip
    return same


def _differences(one: Layer, other: Layer) -> Iterator[str]:
    for index, (a, b) in enumerate(zip(one.parameters, other.parameters, strict=True)):
        layer, track = divmod(index, one.spec.num_directions)
        for name, pair in differing(one.spec, a, b).items():
            at = [tuple(place) for place in zip(*(pair[0] != pair[1]).nonzero(), strict=True)]
            where = ", ".join(map(str, at[0]))
            values = " and ".join(repr(float(array[at[0]])) for array in pair)
            yield (f"{name} of layer {layer}, {one.spec.directions[track]}, differs in {len(at)} of {pair[0].size} "
                   f"numbers, first at [{where}]: {values}")  # fmt: skip


def _write(file: Path, asked: Sequence[tuple[Asked, Trial]], way: Way) -> None:
    """The script of the first case that went wrong; of the first where none did."""
    one, trial = next((pair for pair in asked if pair[1].outcome not in RIGHT), asked[0])
    write_atomically(file, script_of(one.adapter, one.name, trial.case, way.device, way.idiom or "eager"))
    print(f"\n{file}: a stand-alone script of {one.model.source}")
