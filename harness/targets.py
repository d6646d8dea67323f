"""Which adapters a run judges, and on which devices: those that are named, else all that load."""

from collections.abc import Callable, Sequence

import pytest

import adapters
from adapters.running.guard import one_line
from adapters.running.usable import devices_of, expect_capabilities_on, usable

from .target import Target


def targets(
    config: pytest.Config, available: Sequence[adapters.Availability], target: Callable[..., Target]
) -> list[Target]:
    """Every adapter asked for, on every device asked for; what is named and absent is an error.

    available: what is judged where none is named.  target: makes one of adapter, device and source.
    """
    for name in named(config, "--framework"):
        if name not in adapters.KNOWN:
            known = f"expected one of {', '.join(adapters.KNOWN)}{adapters.meant(name)}"
            raise pytest.UsageError(f"--framework: got {name!r}, {known}")
    names = [*named(config, "--framework"), *named(config, "--adapter")]
    names = names or [found.name for found in available if found.loads]
    if not names:
        raise pytest.UsageError(f"no framework to judge: {'; '.join(found.problem for found in available)}")
    found = [
        target(adapter, device, source=name)
        for name, adapter in ((name, load(name)) for name in names)
        for device in devices(adapter, named(config, "--device"), name)
    ]
    labels = [one.label for one in found]
    for one in found:
        if labels.count(one.label) > 1:
            raise pytest.UsageError(f"{one.source}: another adapter is named {one.adapter.name!r} too")
    return found


def named(config: pytest.Config, option: str) -> list[str]:
    """The values of an option that may be repeated, each once."""
    return list(dict.fromkeys(config.getoption(option) or []))


def load(name: str) -> adapters.Adapter:
    """An adapter that has what the suite needs of it; whatever is wrong with it is the user's to know."""
    try:
        adapter = adapters.load(name)
        usable(adapter, name)
    except (ImportError, ValueError) as error:
        raise pytest.UsageError(one_line(error)) from error
    return adapter


def devices(adapter: adapters.Adapter, asked: list[str], source: str) -> list[str]:
    """The devices to judge on: those asked for, else the CPU and the first CUDA device where there is one."""
    try:
        there = devices_of(adapter, source)
        names = (*there, "cuda") if any(device.startswith("cuda") for device in there) else there
        for device in asked:
            if device not in names:
                which = f"{adapter.name} {adapter.version}"
                raise ValueError(f"--device: {which} has no {device!r}, only {', '.join(there)}")
        chosen = asked or [device for device in ("cpu", "cuda") if device in names] or [there[0]]
        for device in chosen:
            expect_capabilities_on(adapter, source, device)
    except ValueError as error:
        raise pytest.UsageError(one_line(error)) from error
    return chosen
