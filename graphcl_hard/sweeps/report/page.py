"""The HTML page of a report: its sections in order, in one self-contained file."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from graphcl_hard.sweeps.records import whole_files
from graphcl_hard.sweeps.report.canvas import Picture
from graphcl_hard.sweeps.report.table import Table

TEMPLATE = Path(__file__).with_name("page.html.j2")
STATISTICS = (
    "Each seed draws new random numbers and new folds, but all seeds share the same graphs, and any two training "
    "parts overlap, so the fold scores are not independent and a plain t test would find differences that do not "
    "exist. Intervals and tests are therefore the corrected resampled t of Nadeau and Bengio (Machine Learning 52, "
    "2003): with J = seeds x repeats x folds scores of variance s^2, the variance of their mean is taken as (1/J + "
    "n_test/n_train) s^2 instead of s^2/J, which does not vanish with more seeds."
)


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, a few sentences, then tables and pictures in this order."""

    name: str
    title: str
    text: str
    parts: Sequence[Table | Picture]


@dataclass(frozen=True)
class Page:
    """The page of a report: its title, its heading, an introduction of a few sentences, and its sections."""

    title: str
    heading: str
    introduction: str
    sections: Sequence[Section]


Draft = tuple[str, str, str, Sequence[Table | Picture | None]]
"""Name, title, text and parts of a section; a part without content is None or an empty table."""


def with_content(drafts: Iterable[Draft]) -> list[Section]:
    """Return the sections that have a part with content, with these parts only."""
    sections = [
        Section(
            name, title, text, [part for part in parts if part is not None and _has_content(part)]
        )
        for name, title, text, parts in drafts
    ]
    return [section for section in sections if section.parts]


def _has_content(part: Table | Picture) -> bool:
    return not isinstance(part, Table) or len(part.shown) > 0


def render(page: Page, images: Mapping[str, Path], maps: Path) -> str:
    """Return a page as HTML, with style, script and images inside.

    Args:
        page: what it shows.
        images: name of each picture -> its PNG file.
        maps: a folder of PNG files that are shown as maps of embeddings; it need not exist.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.tests["table"] = lambda part: isinstance(part, Table)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        page=page,
        images={name: _data_uri(path) for name, path in images.items()},
        maps={path.stem: _data_uri(path) for path in whole_files(maps, "*.png")},
    )


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
