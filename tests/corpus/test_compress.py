"""What goes in comes out shorter, with every other field and its provenance."""

import gzip
import json
import lzma

import pytest

from ctxzip.corpus import job
from ctxzip.corpus.read.formats import Fields
from ctxzip.corpus.settings import Settings
from ctxzip.errors import InputError
from tests.command import called
from tests.corpus.conftest import output_of, read_lines, records, write_lines

LEXICAL = Settings(ratio=0.5, compressor="lexical", shard_bytes=4096)


def run(given, output, settings=LEXICAL, **more):
    given = given if isinstance(given, list) else [given]
    return job.compress([str(one) for one in given], output, settings, **more)


def test_every_record_once_with_its_fields_and_exact_spans(corpus, tmp_path):
    outcome = run(corpus, tmp_path / "out")
    before, after = records(60), read_lines(tmp_path / "out")
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert len(list((tmp_path / "out").glob("part-*"))) > 2
    for old, new in zip(before, after, strict=True):
        facts = new["ctxzip"]
        assert new["tag"] == old["tag"]
        assert "".join(old["text"][a:b] for a, b in facts["spans"]) == new["text"]
        assert 0 < facts["tokens_after"] <= facts["tokens_before"] / 2
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["counts"]["written"] == outcome.totals["written"] == 60
    assert manifest["counts"]["tokens_after"] == sum(r["ctxzip"]["tokens_after"] for r in after)
    assert manifest["settings"]["compressor"] == "lexical"


@pytest.mark.parametrize("packing", ["gz", "xz", "zst", "bz2"])
def test_packed_input_gives_the_same(corpus, tmp_path, packing):
    run(corpus, tmp_path / "plain")
    data = corpus.read_bytes()
    packed = tmp_path / f"in.jsonl.{packing}"
    if packing == "zst":
        zstandard = pytest.importorskip("zstandard")
        make = zstandard.ZstdCompressor().compress
        packed.write_bytes(make(data[:5000]) + make(data[5000:]))  # two frames
    else:
        module = {"gz": gzip, "xz": lzma, "bz2": __import__("bz2")}[packing]
        packed.write_bytes(module.compress(data))
    run(packed, tmp_path / "out")
    assert output_of(tmp_path / "out") == output_of(tmp_path / "plain")


@pytest.mark.parametrize("packing", ["gz", "xz", "zst"])
def test_a_cut_off_file_keeps_what_was_read_and_says_so(corpus, tmp_path, packing):
    data = corpus.read_bytes()
    packed = tmp_path / f"in.jsonl.{packing}"
    if packing == "zst":
        data = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    else:
        data = {"gz": gzip, "xz": lzma}[packing].compress(data)
    packed.write_bytes(data[: len(data) * 2 // 3])
    outcome = run(packed, tmp_path / "out")
    assert outcome.complete
    (error,) = [
        e for e in read_lines(tmp_path / "out", "errors.jsonl") if "unreadable" in e["reason"]
    ]
    assert error["source"] == packed.name
    kept = read_lines(tmp_path / "out")
    assert [row["id"] for row in kept] == [f"r{i}" for i in range(len(kept))]


def test_text_trees_csv_and_a_bom(tmp_path):
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "x.md").write_text("hidden")
    (root / "b.md").write_text("# Title\n\nOne thing is here. Another thing is there.\n")
    (root / "sub" / "a.txt").write_bytes("\ufeffÄpfel und Birnen. 你好世界。".encode())
    (root / "table.csv").write_bytes(b'\xef\xbb\xbfid;text\n7;"a ""b""; c\nd. And more of it."\n')
    (root / "latin.csv").write_bytes(b"id,caf\xe9\n1,x\n")
    (root / "picture.png").write_bytes(b"\x89PNG")
    run(root, tmp_path / "out", Settings(ratio=1.0, compressor="lexical"))
    (error,) = read_lines(tmp_path / "out", "errors.jsonl")
    assert (error["source"], error["reason"]) == ("latin.csv", "the header is not UTF-8")
    rows = {row["id"]: row["text"] for row in read_lines(tmp_path / "out")}
    assert rows == {
        "b.md": "# Title\n\nOne thing is here. Another thing is there.\n",
        "sub/a.txt": "Äpfel und Birnen. 你好世界。",
        "7": 'a "b"; c\nd. And more of it.',
    }


def test_the_output_inside_the_input_is_not_read_again(tmp_path):
    write_lines(tmp_path / "in.jsonl", records(5))
    run(tmp_path, tmp_path / "out")
    assert run(tmp_path, tmp_path / "out").resumed == 1
    assert len(read_lines(tmp_path / "out")) == 5


def test_faulty_records_are_set_aside_with_a_reason(tmp_path):
    good = records(3)
    path = tmp_path / "in.jsonl"
    lines = [
        json.dumps(good[0]).encode(), b"{not json", b"[1, 2]", b'{"id": "n", "text": null}',
        b'{"id": "m", "body": "x"}', b'{"text": "caf\xe9"}', b"", b'{"text": "\\ud800"}',
        json.dumps({"text": "long " * 400_000}).encode(), json.dumps(good[1]).encode(),
        b'{"text": ""}', json.dumps(good[2]).encode(),
    ]  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    settings = Settings(ratio=0.5, compressor="lexical", fields=Fields(most=2**20))
    outcome = run(path, tmp_path / "out", settings)
    assert [row.get("id") for row in read_lines(tmp_path / "out")] == ["r0", "r1", None, "r2"]
    errors = read_lines(tmp_path / "out", "errors.jsonl")
    assert [error["line"] for error in errors] == [2, 3, 4, 5, 6, 8, 9]
    reasons = [error["reason"] for error in errors]
    for reason, part in zip(
        reasons,
        ("not JSON", "list", "NoneType", "no field 'text'", "UTF-8", "surrogate", "2,000,012"),
        strict=True,
    ):
        assert part in reason
    assert errors[3]["record"] == {"id": "m", "body": "x"}
    assert outcome.totals["failed"] == 7
    assert outcome.totals["records"] == 11


def test_strict_gives_exit_code_three(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "A good one."}\n{"body": 1}\n')
    more = ("-c", "lexical", "-w", 1)
    plain = called("corpus", "compress", path, "-o", tmp_path / "a", *more)
    assert plain.returncode == 0
    assert "errors" in plain.stderr
    strict = called("corpus", "compress", path, "-o", tmp_path / "b", *more, "--strict")
    assert strict.returncode == 3


def test_nonsense_is_refused_before_any_work(tmp_path, corpus):
    with pytest.raises(InputError, match="does not exist"):
        run(tmp_path / "nothing.jsonl", tmp_path / "out")
    (tmp_path / "x.json").write_text('[{"text": "a"}]')
    with pytest.raises(InputError, match=r"jq -c"):
        run(tmp_path / "x.json", tmp_path / "out")
    with pytest.raises(InputError, match="threshold"):
        run(corpus, tmp_path / "out", Settings(threshold=0.5, compressor="lexical"))
    with pytest.raises(InputError, match="unknown"):
        run(corpus, tmp_path / "out2", Settings(compressor="lexcial"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        run(corpus, tmp_path / "full")
    with pytest.raises(OSError, match="cannot be written"):
        run(corpus, corpus / "out")


def test_equal_texts_are_compressed_once_across_jobs(tmp_path):
    rows = [{"id": i, "text": f"The same {i % 2}. It is said again and again."} for i in range(10)]
    path = write_lines(tmp_path / "in.jsonl", rows)
    first = run(path, tmp_path / "out").totals
    assert (first["written"], first["repeated"], first["cached"]) == (10, 8, 0)
    from ctxzip.corpus.settings import Resources

    cache = Resources(cache=str(tmp_path / "out" / ".ctxzip" / "cache.sqlite"))
    second = run(path, tmp_path / "again", resources=cache).totals
    assert (second["repeated"], second["cached"]) == (8, 2)
    assert output_of(tmp_path / "again") == output_of(tmp_path / "out")


def test_spans_of_a_corpus_compressed_twice_lead_to_the_first_source(corpus, tmp_path):
    run(corpus, tmp_path / "one")
    run(tmp_path / "one" / "part-00000-00000.jsonl", tmp_path / "two")
    sources = {row["id"]: row["text"] for row in records(60)}
    for row in read_lines(tmp_path / "two"):
        spans = row["ctxzip"]["spans"]
        assert "".join(sources[row["id"]][a:b] for a, b in spans) == row["text"]


def test_parquet_keeps_types_and_reads_back(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import datetime

    from pyarrow import parquet

    day = datetime.datetime(2024, 5, 3, 12, 30, 0, 123456)
    rows = [
        {**row, "tag": [1], "when": day, "blob": b"\xff", "text": row["text"]}
        for row in records(150)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet", row_group_size=40)
    settings = Settings(ratio=0.5, compressor="lexical", format="parquet", shard_bytes=20_000)
    run(tmp_path / "in.parquet", tmp_path / "out", settings)
    files = sorted((tmp_path / "out").glob("*.parquet"))
    assert len(files) > 1
    table = pa.concat_tables([parquet.read_table(file) for file in files])
    assert table.column("id").to_pylist() == [row["id"] for row in rows]
    assert table.schema.field("when").type == pa.timestamp("us")
    assert table.column("blob").to_pylist() == [b"\xff"] * 150
    facts = table.column("ctxzip").to_pylist()
    texts = table.column("text").to_pylist()
    for row, text, one in zip(rows, texts, facts, strict=True):
        assert "".join(row["text"][a:b] for a, b in one["spans"]) == text
    run(tmp_path / "in.parquet", tmp_path / "lines", LEXICAL)
    assert [row["text"] for row in read_lines(tmp_path / "lines")] == texts
    assert read_lines(tmp_path / "lines")[0]["when"] == day.isoformat()


def test_a_folder_of_datasets_is_read_in_order(tmp_path):
    pa = pytest.importorskip("pyarrow")
    folder = tmp_path / "saved" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train"]}')
    names = ["data-00001.arrow", "data-00000.arrow"]
    (folder / "dataset_info.json").write_text("{}")
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": name} for name in names]})
    )
    rows = records(20)
    for name, part in zip(names, (rows[:10], rows[10:]), strict=True):
        table = pa.Table.from_pylist([{"id": r["id"], "text": r["text"]} for r in part])
        with pa.ipc.new_stream(str(folder / name), table.schema) as writer:
            writer.write_table(table)
    run(tmp_path / "saved", tmp_path / "out")
    assert [row["id"] for row in read_lines(tmp_path / "out")] == [row["id"] for row in rows]


def test_lines_that_do_not_fit_the_parquet_schema_are_set_aside(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("ctxzip.corpus.work.encode._SAMPLE", 20)
    rows = [{"id": i, "text": f"One fine sentence {i}. And one more."} for i in range(40)]
    rows[30]["id"] = "a string"
    rows[35]["new"] = 1
    path = write_lines(tmp_path / "in.jsonl", rows)
    settings = Settings(ratio=0.5, compressor="lexical", format="parquet")
    outcome = run(path, tmp_path / "out", settings)
    assert outcome.totals["written"] == 38
    reasons = [e["reason"] for e in read_lines(tmp_path / "out", "errors.jsonl")]
    assert len(reasons) == 2
    assert all("Parquet schema" in reason for reason in reasons)


def test_the_shipped_model_gives_the_same_whatever_the_shards_beside(tmp_path):
    rows = records(12)
    source = write_lines(tmp_path / "in.jsonl", rows)
    small = Settings(ratio=0.5, compressor="mini", shard_bytes=1024)
    large = Settings(ratio=0.5, compressor="mini")
    first = run(source, tmp_path / "small", small)
    assert len(first.manifest["shards"]) > 2
    assert first.manifest["model_sha256"]
    run(source, tmp_path / "large", large)
    assert read_lines(tmp_path / "small") == read_lines(tmp_path / "large")


def test_the_report_escapes_and_shows_what_went(tmp_path):
    text = "<script>alert(1)</script> is here. The rest of it is dull. So is this one, really."
    path = write_lines(tmp_path / "in.jsonl", [{"id": 1, "text": text}])
    page = tmp_path / "r.html"
    done = called(
        "corpus", "compress", path, "-o", tmp_path / "out", "-c", "lexical", "-w", 1,
        "--report", page, "--price", 2.5,
    )  # fmt: skip
    assert done.returncode == 0
    assert "money" in done.stderr
    html = page.read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<del>" in html
    assert "<svg" in html
