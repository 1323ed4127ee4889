"""A caller's string becomes an object, or an error that lists the choices."""

import pytest

from snl_graph.names import lookup

TABLE = {"dot": 1, "rbf": 2}


class Dict(dict[str, int]):
    """What a caller may take in place of a name."""


def test_a_known_name_gives_its_entry() -> None:
    assert lookup(TABLE, "rbf", "kernel") == 2


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r'unknown kernel "cosine"\. Choices: "dot", "rbf"\.'):
        lookup(TABLE, "cosine", "kernel")


def test_a_near_miss_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r'unknown kernel "dott"\. Did you mean "dot"\?'):
        lookup(TABLE, "dott", "kernel")


def test_what_is_no_string_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"norm must be a name, got int\. Names: "):
        lookup(TABLE, 3, "norm")  # type: ignore[arg-type]


def test_objects_are_offered_only_where_they_are_taken() -> None:
    with pytest.raises(TypeError, match=r"kernel must be a name or a Dict, got int\. Names: "):
        lookup(TABLE, 3, "kernel", Dict)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"got the class Dict\. Make an object of it: Dict\(\.\.\.\)"
    ):
        lookup(TABLE, Dict, "kernel", Dict)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"norm must be a name, got the class Dict\. Names: "):
        lookup(TABLE, Dict, "norm")  # type: ignore[arg-type]
