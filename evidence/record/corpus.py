"""The frozen corpus: the cases that every recorded run is asked, so that two versions can be compared case by case.

A family of cells, or of gradients, has a file, corpora/FAMILY.jsonl, and a digest. The cases are stored bit for bit,
because another version of NumPy or Hypothesis may draw others. A file only grows at its end: the corpus of an older
record is then the beginning of the file, and `published` in its first line says which beginnings were released.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import ml_dtypes  # noqa: F401 (makes np.dtype("bfloat16") known)

from adapters.contract import MODES
from reference import DIRECTIONS, Case
from reference.layout import state_tuple

FOLDER = Path(__file__).with_name("corpora")
FORMAT = "rnn-equivalence corpus 1"
FIRST = "elman"  # the family that every version asks; the names of the others' cases begin with "FAMILY-"
GRADIENTS = "gradients"  # the family of cases with cotangents, of every cell
PROPERTY = "corpus"  # the property that asks all of it, by the step bound
TRAJECTORY = "corpus, whole trajectory"
# what is asked in a mode: one layer; two layers with initial states and lengths; three layers, or a wide one
WIDE = ("tanh float32 plain", "relu float32 full", "tanh float64 equal sizes")
IN_MODE = {
    "mixed": ("tanh float16 plain", "relu bfloat16 full", "tanh float16 equal sizes"),
    "sequential": ("tanh float32 plain", "relu float32 full", "tanh float64 plain"),
}
# of every other family, one case in each direction; exported, which takes longest, in one
OTHER = "batch_first tanh float32 full"
OTHERS_IN_MODE = {"mixed": "batch_first tanh bfloat16 full", "exported": "forward batch_first tanh float32 plain"}
NARROW_PRODUCTS = ("tf32", "bfloat16_products")  # taken where they pay: a wide case is asked too


@dataclass(frozen=True)
class Family:
    """The corpus of one family of cells.  cases: name -> case.  digest: of all of them.
    published: digest -> of how many cases, from the first; this digest among them."""

    cases: Mapping[str, Case]
    digest: str
    published: Mapping[str, int]


@dataclass(frozen=True)
class Asked:
    """One property's questions about the corpus: in which mode, judged by which bound, of which cases, by name."""

    mode: str
    bound: str
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a run with some digests is asked, as far as this suite has it.

    cases: name -> case; all of a family whose digest never was.  names: id -> name.  asked: property -> its questions.
    wrong: what is wrong with the digests.  earlier: of which families there are more cases now, in words.
    """

    cases: Mapping[str, Case]
    names: Mapping[str, str]
    asked: Mapping[str, Asked]
    wrong: tuple[str, ...]
    earlier: tuple[str, ...]


@cache
def families() -> Mapping[str, Family]:
    """Family -> its corpus, FIRST first; arrays are read-only. Raises ValueError for a file of another kind."""
    paths = sorted(FOLDER.glob("*.jsonl"), key=lambda path: (path.stem != FIRST, path.stem))
    return MappingProxyType({path.stem: _family(path) for path in paths})


def _family(path: Path) -> Family:
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    about = json.loads(first)
    if about.get("format") != FORMAT or about.keys() != {"format", "published"}:
        raise ValueError(f"{path.name}: got a file that begins {first[:80]!r}, expected {FORMAT!r}")
    entries = [json.loads(line) for line in lines]
    cases = {entry["name"]: Case.from_json(json.dumps(entry["case"])) for entry in entries}
    for case in cases.values():
        for array in (
            case.x,
            *state_tuple(case.h0),
            *(array for one in case.cotangents or () for array in state_tuple(one)),
            *(array for cell in case.parameters for array in cell.arrays().values()),
        ):
            if array is not None:
                array.setflags(write=False)
    if strange := [name for name in cases if family_of(name) != path.stem]:
        raise ValueError(f"{path.name}: got the name {strange[0]!r}, expected one that begins '{path.stem}-'")
    published = {digest_of(cases, count): count for count in dict.fromkeys((*about["published"], len(cases)))}
    digest = next(digest for digest, count in published.items() if count == len(cases))
    return Family(MappingProxyType(cases), digest, published)


def digest_of(cases: Mapping[str, Case], count: int) -> str:
    """SHA-256 of the names and ids of so many cases, a line each."""
    return hashlib.sha256("\n".join(f"{name} {cases[name].id}" for name in list(cases)[:count]).encode()).hexdigest()


def family_of(name: str) -> str:
    """The family of a case, by its name: "gru" of "gru-000 forward batch_first ..."."""
    return name.split(" ")[0].rpartition("-")[0] or FIRST


def digests() -> dict[str, str]:
    """Family -> digest: what a header says of the corpus of this version of the suite."""
    return {name: family.digest for name, family in families().items()}


def of(digests: Mapping[str, str]) -> Corpus:
    """What a run with these digests, by family, was asked. A family that this suite has not cannot be told."""
    return _of(tuple(digests.items()))


@cache
def _of(digests: tuple[tuple[str, str], ...]) -> Corpus:
    given, found, wrong, earlier = dict(digests), dict[str, Case](), list[str](), list[str]()
    if FIRST not in given:
        wrong.append(f"the header names no corpus {FIRST!r}, which every version of the suite asks")
    for name, family in families().items():
        count, now = family.published.get(given.get(name, ""), 0), len(family.cases)
        if count < now:
            earlier.append(f"{name}: {count} of {now} cases")
        if name in given:
            found |= islice(family.cases.items(), count or now)
            if not count:
                ours = f"this suite's is {family.digest[:16]}..."
                wrong.append(f"the corpus of the run is {given[name][:16]}... for {name}, {ours}")
    growing = tuple(name for name in found if name.split()[1] in ("time", "depth"))
    asked = {PROPERTY: Asked("eager", "step", tuple(found)), TRAJECTORY: Asked("eager", "trajectory", growing)}
    for mode in MODES:
        if mode != "eager":
            words = IN_MODE.get(mode, WIDE)
            ends = tuple(f"{direction} batch_first {word}" for direction in DIRECTIONS for word in words)
            if mode in NARROW_PRODUCTS:
                ends += tuple(f"vectors 64 {direction} float32" for direction in DIRECTIONS)
            other = OTHERS_IN_MODE.get(mode, OTHER)
            names = (name for name in found if name.endswith(ends if family_of(name) == FIRST else other))
            asked[f"{PROPERTY}, {mode}"] = Asked(mode, "step", tuple(names))
    names = MappingProxyType({case.id: name for name, case in found.items()})
    return Corpus(MappingProxyType(found), names, MappingProxyType(asked), tuple(wrong), tuple(earlier))


def cases() -> Mapping[str, Case]:
    """Name -> case, of all families of this version of the suite."""
    return of(digests()).cases


def names() -> Mapping[str, str]:
    return of(digests()).names


def asked() -> Mapping[str, Asked]:
    """Property -> what every recorded run asks of each target, once."""
    return of(digests()).asked
