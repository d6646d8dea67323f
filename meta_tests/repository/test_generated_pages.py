"""Tables of documents that programs write are as the programs write them."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from meta_tests import make_conventions_page, make_idioms_page, make_published_tables
from meta_tests.common.regions import replaced
from meta_tests.make_published_tables import ROOT


def test_the_conventions_are_those_of_the_mappings() -> None:
    text = make_conventions_page.PAGE.read_text(encoding="utf-8")
    assert text == make_conventions_page.page(text), "python -m meta_tests.make_conventions_page writes it"


def test_the_idioms_are_those_that_adapters_declare() -> None:
    text = make_idioms_page.PAGE.read_text(encoding="utf-8")
    assert text == make_idioms_page.page(text), "python -m meta_tests.make_idioms_page writes it"
    declared = {target["adapter"] for target in make_idioms_page.targets() if target["idioms"]}
    assert declared == {name for names in make_idioms_page.SECTIONS.values() for name in names}


@pytest.mark.parametrize("name", make_published_tables.PAGES)
def test_the_published_figures_are_those_of_the_record(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == make_published_tables.page(name), "python -m meta_tests.make_published_tables writes it"


def test_a_document_without_the_part_is_named() -> None:
    with pytest.raises(ValueError, match="part 'cells'"):
        replaced("no part", "cells", "x")
