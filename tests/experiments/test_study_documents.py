"""Tables of the report inside of the pages of docs/."""

import re

import pytest
from helpers.paths import EXPERIMENTS, ROOT

from experiments.documents import PLACE, fill_tables
from graphcl_hard.exceptions import InputError

TABLE = "**Title**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nA note.\n"


def test_places_are_filled_and_filled_again(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("Before.\n\n<!-- table some/one -->\n<!-- end of table -->\n\nAfter.\n")
    (tmp_path / "one.md").write_text(TABLE)
    table = tmp_path / "some" / "results" / "tables" / "one.md"
    table.parent.mkdir(parents=True)
    for value in ("2", "3"):
        table.write_text(TABLE.replace("2", value))
        fill_tables(document, tmp_path)
        assert document.read_text() == (
            "Before.\n\n<!-- table some/one -->\n| a | b |\n|---|---|\n"
            f"| 1 | {value} |\n<!-- end of table -->\n\nAfter.\n"
        )
    before = document.stat().st_mtime_ns
    fill_tables(document, tmp_path)
    assert document.stat().st_mtime_ns == before
    table.unlink()
    with pytest.raises(InputError, match="a mark for the table some/one"):
        fill_tables(document, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/study.md",
        "docs/first_study.md",
        "docs/sweeps.md",
        "experiments/README.md",
    ],
)
def test_what_the_documents_link_to_is_there(name):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    assert not [
        link
        for link in links
        if "://" not in link and not (ROOT / name).parent.joinpath(link).exists()
    ]


def test_the_documents_hold_the_committed_tables(tmp_path):
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    filled = {name for name, text in texts.items() if PLACE.search(text)}
    assert filled == {"first_study.md", "study.md"}
    for name, text in texts.items():
        copy = tmp_path / name
        copy.write_text(text, encoding="utf-8")
        fill_tables(copy)
        assert copy.read_text(encoding="utf-8") == text


def test_the_index_of_experiments_names_every_script():
    index = (EXPERIMENTS / "README.md").read_text(encoding="utf-8")
    packages = [
        path.parent
        for folder in ("experiments", "benchmarks")
        for path in (ROOT / folder).glob("**/__main__.py")
    ]
    modules = [path for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__init__"]
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (*packages, *modules)
    ]
    assert len(names) == 11
    assert [name for name in names if f"`python -m {name}" not in index] == []
