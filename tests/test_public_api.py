"""The public interface is the committed one, and documented; what changes it shows in public_api.txt."""

import dataclasses
import difflib
import inspect
import re

import pytest
from helpers import public_api

import graphcl_hard
from graphcl_hard import data, embed, evaluate, finetune, run
from graphcl_hard.config import Config
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.training.fine_tuning import FineTuning


def test_the_interface_is_the_committed_one():
    held = public_api.SNAPSHOT.read_text(encoding="utf-8")
    changes = list(
        difflib.unified_diff(
            held.splitlines(), public_api.snapshot().splitlines(), lineterm="", n=2
        )
    )
    shown = "\n".join(changes[2:])
    assert not changes, (
        f"The public interface changed. If it is meant to, `make api` writes it anew.\n{shown}"
    )


def test_a_change_of_a_parameter_shows(monkeypatch):
    def changed(view1, view2, *, beta: float = 9.0, tau: float = 0.1):
        """Another one."""

    before = public_api.snapshot()
    monkeypatch.setattr(graphcl_hard, "nt_xent", changed, raising=False)
    after = public_api.snapshot()
    gone, come = (
        set(one.splitlines()) - set(two.splitlines())
        for one, two in ((before, after), (after, before))
    )
    assert "    (keyword) beta: float = 9.0" in come
    assert "    (keyword) tau: float = 0.1" in come
    assert "function nt_xent -> Tensor | tuple[Tensor, Diagnostics]" in gone


def test_everything_public_has_a_docstring():
    for name in graphcl_hard.__all__:
        thing = getattr(graphcl_hard, name)
        assert inspect.getdoc(thing), name
        for member in public_api.members(thing) if inspect.isclass(thing) else ():
            assert inspect.getdoc(inspect.getattr_static(thing, member)), f"{name}.{member}"


@pytest.mark.parametrize("module", [run, embed, evaluate, finetune])
def test_the_flags_are_those_of_the_commands_help(module, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        module.main(["--help"])
    shown = {
        found
        for line in capsys.readouterr().out.splitlines()
        for found in re.findall(r"^[│ ] (--[a-z-]+)", line)
    }
    listed = {
        line.split()[0].strip(":,")
        for line in public_api.flags(module.PROG, module.Arguments)
        if "--" in line
    }
    assert shown == listed


def test_every_flag_is_in_the_commands_docstring():
    for arguments in (
        Config,
        FineTuning,
        *(command.Arguments for command in (run, embed, evaluate, finetune)),
    ):
        documented = public_api.documented_attributes(arguments)
        fields = [field.name for field in dataclasses.fields(arguments) if field.name != "settings"]
        assert documented == fields


@pytest.mark.parametrize("name", graphcl_hard.__all__)
def test_every_public_name_has_an_example(name):
    """The docs tests run it."""
    assert ">>> " in inspect.getdoc(getattr(graphcl_hard, name))


def test_tu_sets_are_imported_from_the_package_of_data():
    assert data.TUDataset is TUDataset
    assert not hasattr(data, "TUDatasets")
