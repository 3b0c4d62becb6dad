"""The documentation site builds strictly, is complete, and reads well in a browser, which asks no other host."""

import functools
import http.server
import re
import subprocess
import sys
import threading

import pytest
from helpers.paths import DOCS, ROOT

import graphcl_hard
from graphcl_hard.__main__ import COMMANDS


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    return folder


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(site):
    reference = "".join(path.read_text() for path in (site / "reference").glob("*.html"))
    assert [
        name for name in graphcl_hard.__all__ if f'id="graphcl_hard.{name}"' not in reference
    ] == []
    index = (site / "reference" / "index.html").read_text()
    assert [name for name in graphcl_hard.__all__ if f'#graphcl_hard.{name}"' not in index] == []


def test_every_command_is_in_the_reference(site):
    page = (site / "reference" / "commands.html").read_text()
    assert "run" in COMMANDS
    assert [name for name in COMMANDS if f"usage: python -m graphcl_hard.{name} " not in page] == []


def test_the_studys_figures_and_the_changelog_come_from_where_they_are(site):
    figures = re.findall(r'src="(experiments/[^"]+)"', (site / "study.html").read_text())
    assert len(figures) == (DOCS / "study.md").read_text().count("](../experiments/") > 0
    assert all((site / path).read_bytes() == (ROOT / path).read_bytes() for path in figures)
    assert "<code>local_global_jsd</code>" in (site / "changelog.html").read_text()


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=site)
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(params=[390, 1280])
def opened(request, browser, address):
    """A tab of a width; with what it said on the console and what it asked other hosts for."""
    tab = browser.new_page(viewport={"width": request.param, "height": 900})
    heard = []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("request", lambda one: one.url.startswith((address, "data:")) or heard.append(one.url))
    tab.on("response", lambda one: one.status < 400 or heard.append(f"{one.status} {one.url}"))
    yield tab, heard
    tab.close()


# What a stranger would stumble over on a page that is open; each expression gives a list.
COMPLAINTS = {
    "wide": "document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth] : []",
    "broken": "[...document.images].filter(image => !image.naturalWidth).map(image => image.src)",
    "without words": "[...document.images].filter(image => !image.alt).map(image => image.src)",
    "flat": "[...document.querySelectorAll('math')].filter(one => one.getBoundingClientRect().height < 4)"
    ".map(one => one.textContent)",
    "raw": r"(document.querySelector('article').innerText.match(/:math:|\.\. math|\$\$|\\frac|\\mathrm/g) || [])",
}


@pytest.mark.slow
def test_every_page_reads_well(site, address, opened):
    tab, heard = opened
    found = {}
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        tab.goto(address + page)
        complaints = {what: tab.evaluate(expression) for what, expression in COMPLAINTS.items()}
        complaints["heard"] = heard[:]
        heard.clear()
        found |= {f"{page}: {what}": said for what, said in complaints.items() if said}
    assert found == {}


@pytest.mark.slow
def test_mathematics_has_its_font(address, opened):
    tab, _ = opened
    tab.goto(address + "theory.html")
    assert tab.locator("math").count() > 20
    loaded = "document.fonts.ready.then(() => [...document.fonts].map(face => face.status))"
    assert tab.evaluate(loaded) == ["loaded"]


@pytest.mark.slow
def test_the_search_finds_an_objective(address, opened):
    tab, heard = opened
    tab.goto(address, wait_until="networkidle")
    tab.evaluate("document.querySelector('#__search').click()")
    tab.locator("input[name=query]").press_sequentially("local_global_jsd")
    tab.locator(".md-search-result__item a[href*='reference/objectives.html']").first.wait_for()
    assert heard == []
