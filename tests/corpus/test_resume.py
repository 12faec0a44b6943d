"""Killed, stopped, out of room, changed: what is finished stays, and nothing is lost or doubled."""

import json
import random
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from ctxzip.corpus import job
from ctxzip.corpus.settings import Settings
from ctxzip.corpus.work.cache import ChunkCache
from ctxzip.corpus.work.local import LocalEngine
from ctxzip.errors import InputError
from ctxzip.kit.disk import OutputError, write_whole
from tests.command import called, line, started
from tests.corpus.conftest import output_of, read_lines, records, write_lines

LEXICAL = Settings(ratio=0.5, compressor="lexical", shard_bytes=4096)


def run(source, output, settings=LEXICAL, **more):
    return job.compress([str(source)], output, settings, **more)


def test_killed_at_random_moments_the_output_is_that_of_one_run(tmp_path):
    draw = random.Random(5)
    rows = records(400)
    rows[7] = {"id": "bad"}
    source = write_lines(tmp_path / "in.jsonl", rows)
    arguments = ("corpus", "compress", source, "-c", "lexical", "--shard-mb", 0.01, "--quiet", "-o")
    begun = time.monotonic()
    assert started(*arguments, tmp_path / "whole", "-w", 1).returncode == 0
    patience = time.monotonic() - begun
    killed = 0
    for attempt in range(40):
        workers = 1 + attempt % 2
        child = subprocess.Popen(line(*arguments, tmp_path / "out", "-w", workers))
        try:
            child.wait(timeout=patience * draw.uniform(0.3, 0.9))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            killed += 1
            # Later and later, so that it comes to an end however slow the machine is.
            patience *= 1.2
            continue
        assert child.returncode == 0
        if killed >= 5:
            break
        # Too quick to be killed: sooner, and once more without the last shards.
        patience *= 0.6
        for path in sorted((tmp_path / "out" / ".ctxzip" / "done").iterdir())[2:]:
            path.unlink()
        (tmp_path / "out" / ".ctxzip" / "cache.sqlite").unlink(missing_ok=True)
    assert killed >= 5
    assert output_of(tmp_path / "out") == output_of(tmp_path / "whole")
    ids = [row["id"] for row in read_lines(tmp_path / "out")]
    assert ids == [row["id"] for row in rows if row["id"] != "bad"]
    assert not list(tmp_path.glob("out/**/.*.partial"))


def test_ctrl_c_finishes_the_shard_and_says_how_to_go_on(tmp_path):
    source = write_lines(tmp_path / "in.jsonl", records(3000))
    arguments = line(
        "corpus",
        "compress",
        source,
        "-c",
        "lexical",
        "--shard-mb",
        0.01,
        "-w",
        1,
        "-o",
        tmp_path / "out",
    )
    child = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    done = tmp_path / "out" / ".ctxzip" / "done"
    end = time.monotonic() + 60
    while not (done.is_dir() and any(done.glob("*.json"))) and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"run the same command again" in said
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert not manifest["complete"]
    kept = [row["id"] for row in read_lines(tmp_path / "out")]
    assert 0 < len(kept) < 3000
    assert kept == [f"r{i}" for i in range(len(kept))]


def test_workers_in_processes_give_the_same(corpus, tmp_path):
    run(corpus, tmp_path / "one")
    run(corpus, tmp_path / "two", engine=LocalEngine(workers=2))
    assert output_of(tmp_path / "one") == output_of(tmp_path / "two")


def test_a_second_job_in_the_same_folder_is_refused(corpus, tmp_path):
    run(corpus, tmp_path / "out")
    lock = sqlite3.connect(tmp_path / "out" / ".ctxzip" / "lock", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputError, match="Another job"):
        run(corpus, tmp_path / "out")
    lock.close()
    assert run(corpus, tmp_path / "out").complete


def test_a_changed_setting_is_refused_or_made_again(corpus, tmp_path):
    run(corpus, tmp_path / "out")
    other = Settings(ratio=0.3, compressor="lexical", shard_bytes=4096)
    before = output_of(tmp_path / "out")
    with pytest.raises(InputError, match=r"ratio 0\.5; now it is 0\.3"):
        run(corpus, tmp_path / "out", other)
    assert output_of(tmp_path / "out") == before
    run(corpus, tmp_path / "out", other, incremental=True)
    run(corpus, tmp_path / "fresh", other)
    assert output_of(tmp_path / "out") == output_of(tmp_path / "fresh")


def test_a_changed_record_is_refused_though_the_size_is_the_same(corpus, tmp_path):
    run(corpus, tmp_path / "out")
    corpus.write_text(corpus.read_text().replace("The", "Tha", 1))
    with pytest.raises(InputError, match="changed since"):
        run(corpus, tmp_path / "out")


def test_incremental_makes_again_only_what_changed(tmp_path):
    rows = records(600)
    source = write_lines(tmp_path / "in.jsonl", rows)
    shards = len(json.loads((_manifest(source, tmp_path / "out")).read_text())["shards"])
    rows[300]["text"] = "Something else stands here now. It has two sentences."
    del rows[10]
    rows.append({"id": "new", "text": "One more at the end. It is short."})
    write_lines(source, rows)
    with pytest.raises(InputError, match=r"1 changed \(in.jsonl\)"):
        run(source, tmp_path / "out")
    outcome = run(source, tmp_path / "out", incremental=True)
    assert outcome.resumed >= shards - 8
    run(source, tmp_path / "fresh")
    assert output_of(tmp_path / "out") == output_of(tmp_path / "fresh")
    assert not (tmp_path / "out" / ".ctxzip" / "pool").exists()


def _manifest(source, output):
    run(source, output)
    return output / "manifest.json"


def test_a_lost_shard_is_made_again(corpus, tmp_path):
    run(corpus, tmp_path / "out")
    before = output_of(tmp_path / "out")
    (tmp_path / "out" / "part-00000-00001.jsonl").write_text("broken")
    (tmp_path / "out" / ".ctxzip" / "done" / "00000-00000.json").write_text("{")
    run(corpus, tmp_path / "out")
    assert output_of(tmp_path / "out") == before


def _without_room():
    # A real failure of write(2), as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))


def test_a_full_disk_is_an_error_and_finished_shards_stay(tmp_path):
    rows = records(300)
    rows[200]["text"] = " ".join(row["text"] for row in rows[:60])
    source = write_lines(tmp_path / "in.jsonl", rows)
    arguments = (
        "corpus", "compress", source, "-o", tmp_path / "out", "-c", "lexical", "-w", 1,
        "--shard-mb", 0.004, "--ratio", 0.9, "--no-cache",
    )  # fmt: skip
    failed = started(*arguments, preexec_fn=_without_room)
    assert failed.returncode == 1
    assert "cannot be written" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert read_lines(tmp_path / "out")
    assert called(*arguments).returncode == 0
    ids = [row["id"] for row in read_lines(tmp_path / "out")]
    assert ids == [row["id"] for row in rows]


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_whole(path, b"before")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="Make room"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def _fill(arguments):
    path, start = arguments
    cache = ChunkCache(path, 20_000)
    for i in range(start, start + 200):
        cache.put({b"%d" % (i % 150): b"v" * 100})
        cache.get([b"%d" % j for j in range(0, 150, 7)])
    problem, cache.problem = cache.problem, None
    cache.close()
    return problem


def test_the_cache_is_shared_by_processes_and_bounded(tmp_path):
    path = tmp_path / "cache.sqlite"
    with ProcessPoolExecutor(3) as pool:
        assert list(pool.map(_fill, [(path, 0), (path, 50), (path, 100)])) == [None] * 3
    base = sqlite3.connect(path)
    ((size,),) = base.execute("SELECT sum(length(key) + length(value)) FROM chunks")
    ((counted,),) = base.execute("SELECT value FROM facts WHERE name = 'bytes'")
    assert 0 < size == counted <= 20_000
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_several_may_be_the_first_to_open_the_cache(tmp_path):
    together = threading.Barrier(4)

    def opened(path):
        together.wait()
        cache = ChunkCache(path, 20_000)
        cache.put({b"key": b"value"})
        found, problem = cache.get([b"key"]), cache.problem
        cache.close()
        return found, problem

    with ThreadPoolExecutor(4) as pool:
        for i in range(40):
            path = tmp_path / f"{i}.sqlite"
            assert list(pool.map(opened, [path] * 4)) == [({b"key": b"value"}, None)] * 4


def test_a_broken_cache_is_named_and_left_out(corpus, tmp_path):
    run(corpus, tmp_path / "whole")
    (tmp_path / "out" / ".ctxzip").mkdir(parents=True)
    (tmp_path / "out" / ".ctxzip" / "cache.sqlite").write_bytes(b"not a database, " * 500)
    outcome = run(corpus, tmp_path / "out")
    assert "cache" in outcome.manifest["problems"][0]
    assert output_of(tmp_path / "out") == output_of(tmp_path / "whole")
