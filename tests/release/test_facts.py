"""What a release says of itself: a semantic version, a changelog in form, a valid citation."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import yaml

from snl_graph import __version__

CHECKOUT = Path(__file__).parents[2]
CHANGELOG = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
CITATION = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text(encoding="utf-8"))

# Of the Citation File Format 1.2.0, the schema's required and allowed keys.
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = REQUIRED | {
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "preferred-citation", "references", "repository"),
    *("repository-artifact", "repository-code", "type", "url", "version"),
}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_version_is_semantic() -> None:
    assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}((a|b|rc)\d+)?", __version__)


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", h) for h in headings[1:]]
    assert all(released), headings
    versions = [numbers(match[1]) for match in released if match]
    dates = [datetime.date.fromisoformat(match[2]) for match in released if match]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)
    assert versions[0] <= numbers(re.split(r"a|b|rc", __version__)[0])
    kinds = set(re.findall(r"^### (.*)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_citation_file_is_valid() -> None:
    assert set(CITATION) >= REQUIRED
    assert set(CITATION) <= ALLOWED
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] in ("software", "dataset")
    assert all(isinstance(CITATION[key], str) for key in ("message", "title", "license", "version"))
    assert datetime.date.fromisoformat(CITATION["date-released"])
    assert all(isinstance(word, str) for word in CITATION["keywords"])
    preferred = CITATION["preferred-citation"]
    assert set(preferred) >= {"type", "title", "authors"}
    for authors in (CITATION["authors"], preferred["authors"]):
        assert authors
        for author in authors:
            entity, person = {"name"}, {"family-names", "given-names"}
            assert set(author) in (entity, person)
            assert all(isinstance(value, str) for value in author.values())
    assert isinstance(preferred["year"], int)
    assert preferred["url"].startswith("https://")


def test_the_citation_agrees_with_the_version_and_its_date() -> None:
    assert CITATION["version"] == __version__
    (date,) = re.findall(rf"^## \[{re.escape(__version__)}\] - (\S+)$", CHANGELOG, re.MULTILINE)
    assert CITATION["date-released"] == date
