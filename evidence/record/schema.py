"""What the lines of an evidence file must be: every field, its type and its meaning. Nothing else is accepted.

`python -m rnn_equivalence schema` prints this as a JSON Schema. A field that is added has a default, so that older
records are read; any other change is a new FORMAT.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from adapters.capabilities import Refusal
from findings.finding import NO_LINK
from reference import limits
from reference.judging.verdict import Location
from reference.judging.view import View

from . import corpus
from .ledger import FIRST_AXES
from .lines import FORMAT

EXPECTED = ("agrees", "finding")  # outcomes of which a compact record names no worst element
Outcome = Literal["agrees", "disagrees", "finding", "vacuous", "refused", "not offered", "left out", "crashed"]
Count = Annotated[int, Field(ge=0, le=2**53)]
Size = Annotated[int, Field(ge=0, le=2**31)]
Name = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", description="on one line")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ShortSha256 = Annotated[str, Field(pattern="^[0-9a-f]{16}$", description="first 16 hexadecimal digits of a SHA-256")]
FindingId = Annotated[str, Field(pattern="^F-[0-9]{3}$")]
Link = Annotated[str, Field(pattern=f"^(https://[A-Za-z0-9./?#=&%:_~+-]+|{NO_LINK})$")]  # nothing that ends a link
SEALED = '`}` stands in place of `,"sha256":"..."}`, with which this line ends'
Setting = str | bool | int | float | None


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in ("nan", "inf", "-inf") else value


Number = Annotated[float, BeforeValidator(_number, json_schema_input_type=float | Literal["nan", "inf", "-inf"])]


class Model(BaseModel):
    """An object with these fields and no others; of no value is another type made."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Suite(Model):
    version: str
    commit: str | None = Field(description="git's; null outside a clone")
    modified: bool | None = Field(description="whether tracked files differed from the commit")


class RunOptions(Model):
    started: str = Field(description="UTC, ISO 8601")
    profile: str = Field(description="Hypothesis profile: ci draws the same cases every time")
    cases: Count = Field(description="Hypothesis examples for each property")
    seed: int | None = Field(description="of the drawn cases; null where they are the same every time")
    shrink: bool
    pool: int | None = Field(None, description="seed of the covering designs, and of the keys of targets which compile")
    draws: int = Field(
        1,
        description="how ci draws: 1 also took numbers from the source of loaded modules; 3 has pools; 4 asks more;"
        " 5 asks idioms; 6 has covering designs",
    )


class OfFeatures(Model):
    """Of a feature, or of several that a case asks for at once."""

    features: dict[str, str | bool] = Field(min_length=1)

    def holds(self, asked: Mapping[str, str | bool]) -> bool:
        """Whether a case that asks for these features is meant."""
        return self.features.items() <= asked.items()

    @property
    def asked(self) -> str:
        return " with ".join(f"{name} {value}" for name, value in self.features.items())


class Declaration(OfFeatures):
    """What an adapter says of features."""

    reason: str


class RefusalLine(OfFeatures):
    """How the framework refuses a call with these features, as its adapter declares."""

    exception: Name = Field(description="the name of its type")
    words: str = Field(description="that it says, among others")

    @property
    def reason(self) -> str:
        return str(Refusal(self.exception, self.words))

    def fits(self, told: str) -> bool:
        """Whether what was raised, told as "Type: words", is this refusal."""
        return Refusal(self.exception, self.words).fits(told)


Declarations = Annotated[list[Declaration], Field(max_length=limits.DECLARATIONS)]


def _view(words: dict[str, str]) -> dict[str, str]:
    return View.parse(words).words()


ViewWords = Annotated[
    dict[str, str], AfterValidator(_view), Field(description="what is shown, where that differs from a whole answer")
]


class IdiomLine(Model):
    """Another way in which users call the framework than the adapter's run."""

    word: Name = Field(description="by which verdicts name it")
    says: str = Field(description="which, as the end of `asked ...`")
    view: ViewWords
    without: Declarations = Field(description="calls that cannot be made in it, beside what the target does not offer")
    refused: list[RefusalLine] = Field(max_length=limits.DECLARATIONS)
    answers: list[dict[str, str | bool]] = Field(
        default_factory=list, max_length=limits.DECLARATIONS,
        description="features that the target refuses, or does not offer, and that are answered in it",
    )  # fmt: skip
    absent: str = Field(description="why it could not be asked on this machine; empty where it could")
    compiles: bool = Field(False, description="whether a compiler works for each case: few are asked then")

    @property
    def drawn(self) -> bool:
        """Whether cases are drawn for it: not where each is compiled, nor where gradients alone are asked for."""
        return not self.compiles and all(one.features != {"gradients": False} for one in self.without)

    @property
    def called(self) -> str:
        """What it shows, in words."""
        return str(View(**self.view))


class FindingLine(Model):
    """What the framework was seen to get wrong, in whatever version: findings/ of the suite."""

    id: FindingId
    kind: Literal["fault", "documented"]
    title: str
    link: Link = Field(description="where it is reported")
    avoid: str = Field(description="how a user avoids it")
    trigger: dict[Name, list[str | bool]] = Field(description="feature -> the values of which a case inside has one")
    idiom: Name = Field(description="in which a case inside is called; empty for the adapter's run")
    device: Name = Field(description="on which it is: cpu or cuda")
    what: str = Field(description="what is wrong, as it is checked")

    def __str__(self) -> str:
        return f"{self.id} {self.title} ({self.link})"


class Compiled(Model):
    mode: Name = Field(description="in which what is compiled is kept for other values")
    weights: bool = Field(description="whether they are part of the key")


class TargetLine(Model):
    label: Name = Field(description="adapter, backend and device: names the target in this run, whatever its version")
    adapter: Name
    source: Name = Field(description="what loads the adapter: a name, or module:Class")
    version: Name
    backend: Name = Field(description="what computes below the framework; empty where nothing does")
    device: Name
    unsupported: Declarations = Field(description="what the adapter has no way to ask, and why")
    refused: list[RefusalLine] = Field(
        default=[], max_length=limits.DECLARATIONS,
        description="where the framework says no; in a record without this field, the outcome `refused` means"
        " what is now `not offered`",
    )  # fmt: skip
    findings: list[FindingLine] = Field(
        default=[], max_length=limits.DECLARATIONS, description="known of the framework, whether this version has them"
    )
    idioms: list[IdiomLine] = Field(
        default=[], max_length=limits.DECLARATIONS,
        description="in which it is asked beside the adapter's run; a record without this field is from before that"
    )  # fmt: skip
    emulated: Declarations
    arithmetics: Declarations = Field(
        default=[], description="what a case is promised to be computed in, of several the first; else in its dtype"
    )
    environment: dict[str, Setting] = Field(description="versions, hardware and settings, in the adapter's words")
    compiles: Compiled | None = Field(
        None, description="where it compiles for each key; asked few keys, and most cases in its mode"
    )

    def idiom(self, word: str) -> IdiomLine | None:
        return next((one for one in self.idioms if one.word == word), None)

    def narrowed(self, word: str) -> Self:
        """What is declared in an idiom; the same in run's own way, and in an idiom that is none."""
        if (idiom := self.idiom(word)) is None:
            return self
        unsupported, refused = (
            [one for one in said if one.features not in idiom.answers] for said in (self.unsupported, self.refused)
        )
        return self.model_copy(
            update={"unsupported": [*idiom.without, *unsupported], "refused": [*idiom.refused, *refused]}
        )

    def not_offered(self, asked: Mapping[str, str | bool]) -> tuple[str, ...]:
        """In which words a case with these features is not offered; none where it can be asked."""
        return tuple(
            f"{' and '.join(f'{name} {value}' for name, value in entry.features.items())}: {entry.reason}"
            for entry in self.unsupported
            if entry.holds(asked)
        )

    def refusals(self, asked: Mapping[str, str | bool]) -> tuple[RefusalLine, ...]:
        """How the framework may refuse a case with these features; none where it is to answer."""
        return tuple(entry for entry in self.refused if entry.holds(asked))

    def arithmetic(self, asked: Mapping[str, str | bool]) -> str:
        """The arithmetic that a case with these features is judged by."""
        return next((entry.reason for entry in self.arithmetics if entry.holds(asked)), str(asked["dtype"]))


class Absent(Model):
    name: str
    problem: str


class Environment(Model):
    Python: str
    system: str
    machine: str
    CPU: str
    CPUs: int | None
    NumPy: str
    BLAS: str | None
    driver: str | None = Field(description="version of NVIDIA's kernel module")
    variables: dict[str, str] = Field(description="those of a fixed list that were set")
    packages: dict[str, str] = Field(max_length=limits.PACKAGES, description="every distribution, and its version")


class Compact(Model):
    """Of which run in full a compact one was made: it has the verdicts on the corpus and those that do not
    agree, without answers."""

    file: Sha256 = Field(description="of the file in full, uncompressed")
    run: Sha256 = Field(description="of the run in full, as its last line has it")
    verdicts: Count = Field(description="that the run in full has")


Values = Annotated[list[str | bool], Field(max_length=64)]
Axes = Annotated[list[Name], Field(min_length=1, max_length=16)]
Family = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,40}$")]
Corpora = Annotated[dict[Family, Sha256], Field(max_length=64)]


class Header(Model):
    """The first line of a run."""

    kind: Literal["header"]
    format: Literal["rnn-equivalence evidence 1"]
    complete: bool = Field(description="false while the run goes on, and after it was killed")
    suite: Suite
    run: RunOptions
    environment: Environment
    features: dict[str, Values] = Field(max_length=64, description="what a case may ask for, with all values")
    axes: Axes = Field(default=list(FIRST_AXES), description="the features whose combinations the last line counts")
    corpus: Sha256 | None = Field(None, description="of the corpus of elman, where `corpora` is not there")
    corpora: Corpora = Field(default={}, description="of each family's frozen corpus: its names and case ids")
    targets: list[TargetLine] = Field(max_length=limits.TARGETS)
    absent: list[Absent] = Field(description="known adapters that could not be loaded")
    compact: Compact | None = Field(None, description="in a compact record: what it was made of")

    @model_validator(mode="after")
    def _one_corpus(self) -> Header:
        if (self.corpus is None) == (not self.corpora):
            raise ValueError("got corpus and corpora, or none of them, expected one")
        return self

    @property
    def older(self) -> bool:
        """Whether the run is from before refusals were told apart from what is not offered, and findings were asked."""
        return bool(self.targets) and not any("refused" in target.model_fields_set for target in self.targets)

    @property
    def knows_idioms(self) -> bool:
        """Whether the run was asked in idioms, where its targets have any."""
        return any("idioms" in target.model_fields_set for target in self.targets)

    @property
    def digests(self) -> dict[str, str]:
        """Family -> digest of its corpus."""
        return self.corpora or {corpus.FIRST: self.corpus or ""}


class Array(Model):
    dtype: str
    shape: list[Count]
    data: str = Field(description="base64 of little-endian bytes in C order")


class GradientArrays(Model):
    """Of the probed layer: docs/error-bounds.md, "Gradients"."""

    x: Array
    h0: Array | list[Array]
    parameters: list[dict[str, Array]] = Field(description="of each track")


class Answer(Model):
    output: Array | None = Field(description="null, as h_n, where an idiom shows none")
    h_n: Array | list[Array] | None = Field(description="a list, h first, of a cell with several states")
    prefixes: list[Array] | None = Field(description="output of the first 1, 2, ... layers")
    gradients: GradientArrays | None = Field(None, description="of a case with cotangents; absent where it has none")


class Sizes(Model):
    batch: Size
    time: Size
    input_size: Size
    hidden_size: Size
    num_layers: Size
    projection_size: Size = Field(0, description="of an LSTM's h, where it is projected; absent where it is not")


class Place(Model):
    array: str
    layer: Count
    direction: str
    time: Count | None
    batch: Count
    unit: Count
    expected: Number
    actual: Number
    bound: Number

    @property
    def error(self) -> float:
        """|actual - expected|, as reference.judging.verdict.Location has it."""
        return Location(**vars(self)).error


class Judgement(Model):
    """A reference.Verdict without its outcome."""

    reason: str
    bound: str
    arithmetic: str
    elements: Count
    outside: Count
    vacuous: Count
    max_error: Number
    max_ulps: Number
    max_fraction: Number
    mean_signed_residual: Number
    worst: Place | None
    first: Place | None
    detail: str


class VerdictLine(Model):
    """What was said of one case."""

    kind: Literal["verdict"]
    target: str = Field(description="label of a target of the header")
    test: str = Field(description="pytest's name of the test")
    property: str
    relation: bool = Field(description="compared with another answer of a framework, not with the reference")
    case: ShortSha256
    corpus: str | None = Field(description="the case's name in the frozen corpus")
    features: dict[str, str | bool]
    sizes: Sizes
    outcome: Outcome
    message: str = Field(description="why there is no verdict")
    verdict: Judgement | None
    answer_id: ShortSha256 | None = Field(description="of the answer's dtypes, shapes and bits")
    answer: Answer | None = Field(None, description="kept for the frozen corpus")
    content: str | None = Field(None, description="the case itself as JSON, where it did not agree")
    idiom: Name = Field("", description="in which the framework was called, in the adapter's word; empty for run's own")
    view: ViewWords = Field({}, description="what the idiom shows, where that is not a whole answer")
    findings: list[FindingId] = Field([], max_length=limits.DECLARATIONS, description="that explain `finding`")


def question(line: VerdictLine) -> Hashable:
    """What was asked, whole: two lines with one question can be compared, or contradict each other."""
    return line.target, line.property, line.case, line.relation, line.idiom, tuple(sorted(line.features.items()))


class TestLine(Model):
    """A test that did not pass; xfailed: it was listed as a known failure, and failed."""

    kind: Literal["test"]
    test: str
    outcome: Literal["failed", "error", "skipped", "xfailed"]
    message: str


class Combination(Model):
    target: str
    cell: list[str | bool] = Field(description="a value for each of the header's axes")
    unsupported: str = Field(description="why no answer is expected, where the adapter declares it so")
    outcomes: dict[Outcome, Count]


class End(Model):
    """The last line of a run: what the lines before it add up to.

    exit_status: pytest's: 0 passed, 1 failed, others did not run to the end; -1 where the run was cut off in mid-run
    and closed later, and the tests that passed are not counted.
    """

    kind: Literal["end"]
    finished: str
    exit_status: int
    selection: str = Field(description="why not the whole suite was run; empty where it was")
    tests: dict[str, Count] = Field(description="outcome -> tests; one that fails in its teardown has two outcomes")
    torn: Count = Field(description="lines that could not be read when the run ended, and are left out")
    lines: Count
    outcomes: dict[str, dict[Outcome, Count]]
    cells: list[Combination] = Field(max_length=limits.CELLS)
    sha256: Sha256 = Field(description=f"of all bytes of the run, in which {SEALED}")


class Merged(Model):
    """The last line of a file that holds several runs."""

    kind: Literal["merged"]
    runs: list[Sha256] = Field(max_length=limits.RUNS)
    sha256: Sha256 = Field(description=f"of all bytes of the file, in which {SEALED}")


AnyLine = Annotated[Header | VerdictLine | TestLine | End | Merged, Field(discriminator="kind")]
LINE: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)


def command() -> int:
    """Print the JSON Schema of a line."""
    print(json.dumps({"title": FORMAT, **LINE.json_schema()}, indent=1))
    return 0
