"""The prose of the package and its pages keeps to the glossary of CONTRIBUTING, where a program can tell."""

import ast
import functools
import io
import re
import tokenize

import pytest
from helpers.paths import ROOT

GLOSSARY = {
    "evaluate, score": r"\bjudg(?:e|es|ed|ing|e?ments?)\b",
    "checksum": r"\b(?:its|their|whose|known|SHA-256) sums?\b(?! over\b)",
    "data set": r"\bTU sets?\b|\b(?:the|whole) set\b(?! of\b)",
    "standard deviation": r"(?<!standard )(?<!squared )\bdeviations?\b",
    "distinguish": r"\b(?:tell|tells|telling|told) (?:\w+ ){0,3}apart\b|\btold from\b",
    "only": r"\balone\b",
    "fix": r"\bmend(?:s|ed|ing)?\b",
    "again, from scratch": r"\banew\b",
    "sorted, ascending": r"\brising\b",
    "synchronise the GPU": r"\bstalls? (?:a|the) GPU\b",
}
"""What to write -> what not to, where it is always wrong."""
ALLOWED = {
    "CONTRIBUTING.md": r"\| write \| not \|.*?\n\n",  # the glossary itself
}
"""File -> passages that may have these words."""
PAGES = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "SECURITY.md",
            "datasets/README.md",
        )
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FOLDERS = ("graphcl_hard", "examples", "experiments", "benchmarks")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@functools.cache
def prose(path):
    """Return the text of a page, or of a module its comments and strings, on one line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        kinds = ("COMMENT", "STRING", "FSTRING_MIDDLE")
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        text = "\n".join(token.string for token in tokens if tokenize.tok_name[token.type] in kinds)
    allowed = ALLOWED.get(path.relative_to(ROOT).as_posix())
    if allowed:
        text, count = re.subn(allowed, "", text, flags=re.DOTALL)
        assert count, f"{path} no longer has the passage {allowed!r}"
    return " ".join(re.sub(r"^\s*#+", "", text, flags=re.MULTILINE).split())


@pytest.mark.parametrize(("write", "wrong"), GLOSSARY.items(), ids=GLOSSARY)
def test_the_glossary_is_kept(write, wrong):
    found = []
    for path in PAGES + MODULES:
        text = prose(path)
        for match in re.finditer(wrong, text, re.IGNORECASE):
            context = text[max(0, match.start() - 40) : match.end() + 40]
            found.append(f"{path.relative_to(ROOT)}: ...{context}...")
    assert not found, f"write {write!r}:\n" + "\n".join(found)


def test_a_function_is_described_by_a_verb():
    """And not by "What the file holds": the docstring begins with what is returned or done."""
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and re.match(
                r"What\b", ast.get_docstring(node) or ""
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    assert not found, "\n".join(found)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1100


@pytest.mark.parametrize(
    "sentence",
    [
        "The same encoder is judged before and after.",
        "A file that carries its sum.",
        "Any TU set by name.",
        "mean and deviation of the attributes",
        "Classes can be told\n# apart.",
        "Mend the folder.",
        "the columns of the set",
        "of this process alone",
        "Sums are made anew.",
        "in rising order",
    ],
)
@pytest.mark.parametrize("name", ["page.md", "module.py"])
def test_a_wrong_word_is_found(sentence, name, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / name
    path.write_text(f"# {sentence}\n")
    assert any(re.search(wrong, prose(path), re.IGNORECASE) for wrong in GLOSSARY.values())
