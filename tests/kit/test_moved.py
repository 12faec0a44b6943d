"""Modules of earlier versions: found under their new names, or named by the error."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import ctxzip
from ctxzip.kit import moved


@pytest.mark.parametrize(("old", "new"), moved._STILL.items())
def test_an_old_name_is_the_module_of_today(old: str, new: str):
    assert importlib.import_module(old) is importlib.import_module(new)
    assert importlib.import_module(new).__spec__.name == new


@pytest.mark.parametrize(("old", "new"), moved._GONE.items())
def test_what_is_gone_says_where_its_content_is(old: str, new: str):
    with pytest.raises(ImportError, match=f"{old} is now {new}"):
        importlib.import_module(old)
    module, _, name = new.rpartition(".")
    found = importlib.import_module(module)
    assert hasattr(found, name) or importlib.import_module(new)


def test_the_ways_to_import_an_old_name():
    code = (
        "import ctxzip.tokens as tokens\n"
        "assert tokens.resolve('o200k_base').count('a b') == 2\n"
        "from ctxzip.guard import Guard\n"
        "from ctxzip import events\n"
        "import ctxzip, pickle\n"
        "assert Guard is ctxzip.Guard\n"
        "assert events.CompressionEvent is ctxzip.CompressionEvent\n"
        "assert pickle.loads(b'cctxzip.guard\\nGuard\\n.') is Guard\n"
        "assert not hasattr(ctxzip, 'labels')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_module_is_as_unknown_as_ever():
    with pytest.raises(ModuleNotFoundError, match=r"ctxzip\.nonsense"):
        importlib.import_module("ctxzip.nonsense")


def test_the_root_stays_small():
    root = Path(ctxzip.__file__).parent
    assert len(list(root.glob("*.py"))) <= 8
    for old in (*moved._STILL, *moved._GONE):
        assert not (root / f"{old.partition('.')[2]}.py").exists()
