"""What pytest --junitxml names: properties of each test of a finding or an idiom; of the test suite, the findings."""

from collections.abc import Iterator

import pytest

from findings import Finding

from .target import target_of


def properties_of(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """The properties of a test that asked a finding's case, or in an idiom; none of another test."""
    target, callspec = target_of(item), getattr(item, "callspec", None)
    idiom = callspec.params.get("idiom") if callspec else None
    if isinstance(idiom, str):
        yield "idiom", idiom
    finding = callspec.params.get("finding") if callspec else None
    if target is not None and isinstance(finding, Finding):
        yield from (("finding", finding.id), ("state", target.state(finding).state), ("kind", finding.kind))
        yield from (("title", finding.title), ("link", finding.link))


class JUnit:
    """The findings that are present, as the reports of all processes name them."""

    def __init__(self) -> None:
        self.present: dict[str, str] = {}  # finding, version and device -> kind

    def count(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties)
        if told.get("state") == "present":
            named = f"{told['finding']} in {told['adapter']} {told['version']} on {told['device']}: {told['title']}"
            self.present[named] = str(told["kind"])

    def finish(self, config: pytest.Config) -> None:
        """Name them in the file, before it is written; a worker of pytest-xdist has none."""
        adding = (getattr(plugin, "add_global_property", None) for plugin in config.pluginmanager.get_plugins())
        for add in filter(None, adding):
            for named, kind in self.present.items():
                add("finding" if kind == "fault" else "documented default", named)
