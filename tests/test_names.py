"""A caller's string becomes an object, or an error that lists the choices."""

import pytest

from snl_graph.names import lookup

TABLE = {"dot": 1, "rbf": 2}


def test_a_known_name_gives_its_entry() -> None:
    assert lookup(TABLE, "rbf", "kernel") == 2


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r'unknown kernel "cosine"\. Choices: "dot", "rbf"\.'):
        lookup(TABLE, "cosine", "kernel")


def test_a_near_miss_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r'unknown kernel "dott"\. Did you mean "dot"\?'):
        lookup(TABLE, "dott", "kernel")


def test_what_is_no_string_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="kernel must be a name or an object, got int"):
        lookup(TABLE, 3, "kernel")  # type: ignore[arg-type]
