"""Files, directories and globs: what is read, what is left out, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

import ctxzip

pytest.importorskip("pathspec")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, data in {
        ".gitignore": b"build/\n*.gen.py\n!keep.gen.py\n",
        "a.py": b"def a():\n    return 1\n",
        "keep.gen.py": b"def k():\n    return 2\n",
        "drop.gen.py": b"def d():\n    return 3\n",
        "build/out.py": b"x = 1\n",
        "src/.gitignore": b"local.ts\n",
        "src/local.ts": b"let x = 1;\n",
        "src/b.ts": b"let b = 2;\n",
        "src/notes.md": b"# Notes\n",
        "src/image.py": b"\x89PNG\x00\x01",
        "src/latin.py": "x = 'é'\n".encode("latin-1"),
        "src/big.py": b"x = 1\n" * 1000,
        "node_modules/x.js": b"let y;\n",
        "empty/readme.txt": b"text\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / ".git").mkdir()
    (root / "loop").symlink_to(root, target_is_directory=True)
    return root


def names(files: ctxzip.Files, root: Path) -> list[str]:
    return [str(Path(str(d.id)).relative_to(root)) for d in files.documents]


def test_a_directory_gives_its_source_code_without_what_git_ignores(project: Path):
    files = ctxzip.read_files(project, max_bytes=2000)
    assert names(files, project) == ["a.py", "keep.gen.py", "src/b.ts"]
    reasons = {Path(name).name: why for name, why in files.skipped}
    assert set(reasons) == {"image.py", "latin.py", "big.py"}
    assert "NUL" in reasons["image.py"]
    assert "not UTF-8" in reasons["latin.py"]
    assert "6,000 bytes" in reasons["big.py"]


def test_a_folder_inside_goes_by_the_rules_above_it(project: Path):
    files = ctxzip.read_files(project / "src")
    assert names(files, project) == ["src/b.ts", "src/big.py"]
    # Who names what is ignored means it.
    assert names(ctxzip.read_files(project / "build"), project) == ["build/out.py"]


def test_globs_and_files_by_name(project: Path):
    files = ctxzip.read_files([project / "src" / "notes.md", f"{project}/**/*.ts"])
    assert names(files, project)[:2] == ["src/notes.md", "src/b.ts"]
    assert files.documents[0].title is None
    assert files.documents[1].title == files.documents[1].id
    twice = ctxzip.read_files([project / "a.py", project / "a.py"])
    assert len(twice.documents) == 1


def test_nothing_to_read_says_why(project: Path):
    with pytest.raises(ctxzip.InputError, match="holds no source code"):
        ctxzip.read_files(project / "empty")
    with pytest.raises(ctxzip.InputError, match="no such file"):
        ctxzip.read_files([project / "a.py", project / "missing.py"])
    with pytest.raises(ctxzip.InputError, match="matches no file"):
        ctxzip.read_files(f"{project}/*.rs")
    with pytest.raises(ctxzip.InputError, match="max_bytes"):
        ctxzip.read_files(project, max_bytes=0)
    some = ctxzip.read_files([project / "a.py", project / "empty"])
    assert len(some.documents) == 1
    assert some.skipped[0][1] == "holds no source code"
