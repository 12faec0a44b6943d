"""The README tells the truth, and the wheel carries the package and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_examples_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "log-7 " in printed
    assert "12 March 2021" in printed


def test_the_wheel_has_what_it_should(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    found = {name for name in names if ".dist-info/" not in name}
    package = ROOT / "langchain_ctxzip"
    assert found == {f"langchain_ctxzip/{p.name}" for p in package.iterdir() if p.is_file()}
    assert "langchain_ctxzip/py.typed" in found
    assert any(name.endswith("licenses/LICENSE") for name in names)
