"""`pytest --quick` leaves out cases, never a row of a table."""

from itertools import product

import pytest
from quick import rows, sample


def test_every_row_is_met_by_few_cases():
    cases = list(product(range(7), "abcd", "xyz"))
    cases = [tuple(enumerate(case)) for case in cases]
    chosen = [cases[i] for i in sorted(sample(cases))]
    assert set().union(*chosen) == set().union(*cases)
    assert len(chosen) == 7 and cases[0] in chosen


def test_rare_rows_are_met_too():
    cases = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "z")]
    assert sample(cases) == {0, 1, 2, 3}
    assert sample([("a", "x"), ("b", "y"), ("a", "y"), ("b", "x")]) == {0, 1}


def test_a_test_without_a_table_stays():
    assert sample([()]) == {0}


@pytest.mark.parametrize("name, option", [("a", 1), ("a", 2)])
@pytest.mark.parametrize("size", [3, 4])
def test_the_rows_of_an_item(request, name, option, size):
    assert set(rows(request.node)) == {("size", id(size)), ("name", "option", id(name), id(option))}
