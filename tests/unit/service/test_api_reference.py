"""The definitions hold together, and docs/api.md says what they say."""

from pathlib import Path

import pytest

from service.api import reference
from service.api.definition import Kind, Method
from service.api.methods import FAMILIES, METHODS
from service.api.values import expected, take
from service.errors import STATUSES, Status

DOCS = Path(__file__).parents[3] / "docs"
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)


def test_the_page_holds_the_reference() -> None:
    assert reference.reference() in (DOCS / "api.md").read_text(), (
        "docs/api.md is behind: put in it what `python -m service.api.reference` prints"
    )


def test_the_contracts_methods_are_there() -> None:
    assert {family: list(methods) for family, methods in FAMILIES.items()} == {
        "conf": ["createConference", "addCaller", "getConference", "endConference"],
        "call": ["createCall", "releaseCall", "getCall"],
        "script": ["uploadScript", "checkScript"],
        "number": ["assignNumber", "listNumbers"],
        "account": ["getBalance"],
    }


def test_every_status_has_its_meaning() -> None:
    assert set(STATUSES) == set(Status)


@each_method
def test_a_parameters_example_is_taken(method: Method) -> None:
    for parameter in method.parameters:
        required = {one.name: one.example for one in method.parameters if one.required}
        take(method, required | {parameter.name: parameter.example})


@each_method
def test_descriptions_are_sentences_and_ranges_are_ranges(method: Method) -> None:
    assert method.summary.endswith(".")
    for parameter in method.parameters:
        assert parameter.description.endswith("."), parameter.name
        assert expected(parameter)
        if parameter.kind in (Kind.INTEGER, Kind.TEXT, Kind.DIGITS):
            assert 0 < parameter.least < parameter.most, parameter.name
        assert bool(parameter.choices) == (parameter.kind is Kind.CHOICE), parameter.name


@each_method
def test_what_a_parameter_is_refused_with_is_documented(method: Method) -> None:
    documented = {*method.statuses, Status.BAD_VALUE}
    for parameter in method.parameters:
        assert {parameter.bad, parameter.over} <= documented
        assert not parameter.required or Status.CONTENT_MISSING in documented
