"""What the suite needs of an adapter before it asks it anything: whatever is wrong is said in one sentence."""

from collections.abc import Callable
from typing import Any

from reference.spec import short

from ..contract import Adapter, Capabilities, Compiles
from .guard import told, warnings_shown

LONGEST = 200  # characters of a name or a version: they stand in every table, file name and record


def usable(adapter: Any, source: str) -> None:
    """Raise ValueError unless an adapter says what it is. source: what loads it."""
    for attribute in ("name", "version", "backend"):
        value = _attribute(adapter, source, attribute)
        if value is None and attribute == "backend":
            continue  # it may be left out
        if not isinstance(value, str):
            raise ValueError(f"{source}: its {attribute} is {short(value)}, expected str")
        if not value.isprintable() or len(value) > LONGEST or not (value or attribute == "backend"):
            expected = f"printable text on one line, of 1 to {LONGEST} characters"
            raise ValueError(f"{source}: its {attribute} is {short(value)}, expected {expected}")
    _expect_capabilities(source, _attribute(adapter, source, "capabilities"))
    compiles = _attribute(adapter, source, "compiles")
    known = isinstance(compiles, Compiles) and compiles.mode in adapter.capabilities.supported("mode")
    if compiles is not None and not known:
        expected = "Compiles(mode) of a mode that it offers"
        raise ValueError(f"{source}: its compiles is {short(compiles)}, expected {expected}")
    fills = ("set_weights",) if compiles is not None and not compiles.weights else ()
    for method in ("devices", "build", "run", *fills):
        if not callable(_attribute(adapter, source, method)):
            raise ValueError(f"{source}: it has no method {method}")


def devices_of(adapter: Adapter, source: str) -> tuple[str, ...]:
    """The devices that an adapter sees. Raises ValueError where it does not say."""
    there: Any = _asked(source, "devices()", adapter.devices)
    names = tuple(there) if isinstance(there, list | tuple) else ()
    if not names or not all(isinstance(name, str) and name and name.isprintable() for name in names):
        came = "empty" if there in ((), []) else short(there)
        raise ValueError(f"{source}: devices() is {came}, expected at least one name, such as ('cpu',)")
    return names


def expect_capabilities_on(adapter: Adapter, source: str, device: str) -> None:
    """Raise ValueError unless an adapter says what it can do on a device."""
    of_device: Any = _attribute(adapter, source, "capabilities_on")
    if of_device is not None:
        _expect_capabilities(source, _asked(source, f"capabilities_on({device!r})", lambda: of_device(device)))


def _expect_capabilities(source: str, value: Any) -> None:
    if not isinstance(value, Capabilities):
        raise ValueError(f"{source}: its capabilities is {short(value)}, expected Capabilities")


def _attribute(adapter: Any, source: str, name: str) -> Any:
    return _asked(source, f"its {name}", lambda: getattr(adapter, name, None))


def _asked(source: str, what: str, question: Callable[[], Any]) -> Any:
    """The answer of the author's code, a property too. Raises ValueError, naming it, where that raises anything."""
    try:
        with warnings_shown():
            return question()
    except Exception as error:
        raise ValueError(f"{source}: {what} raised {told(error)}") from error
