"""The same job on Ray; one small cluster for the whole session."""

import os

import pytest

from ctxzip.corpus import job
from ctxzip.corpus.settings import Settings
from ctxzip.errors import CtxzipError, InputError
from tests.corpus.conftest import output_of, records, write_lines

pytest.importorskip("ray")

LEXICAL = Settings(ratio=0.5, compressor="lexical", shard_bytes=8192)


@pytest.fixture(scope="session")
def cluster():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
        object_store_memory=2**27,
    )  # fmt: skip
    yield ray
    ray.shutdown()


def test_ray_gives_what_the_local_engine_gives_and_resumes(cluster, tmp_path):
    from ctxzip.corpus.work.cluster import RayEngine

    rows = records(80)
    rows[5] = {"id": "bad"}
    source = write_lines(tmp_path / "in.jsonl", rows)
    engine = RayEngine(workers=2, cpus=0.5)
    local = job.compress([str(source)], tmp_path / "local", LEXICAL)
    assert len(local.manifest["shards"]) > 3
    job.compress([str(source)], tmp_path / "ray", LEXICAL, engine=engine)
    assert output_of(tmp_path / "ray") == output_of(tmp_path / "local")
    checkpoints = sorted((tmp_path / "ray" / ".ctxzip" / "done").iterdir())
    checkpoints[1].unlink()
    again = job.compress([str(source)], tmp_path / "ray", LEXICAL, engine=engine)
    assert again.resumed == len(checkpoints) - 1
    assert output_of(tmp_path / "ray") == output_of(tmp_path / "local")
    assert cluster.is_initialized()  # a cluster that was there before stays


def test_what_cannot_be_is_said(cluster, tmp_path):
    from ctxzip.corpus.work.cluster import RayEngine

    source = write_lines(tmp_path / "in.jsonl", records(3))
    with pytest.raises(InputError, match="room for"):
        job.compress([str(source)], tmp_path / "a", LEXICAL, engine=RayEngine(workers=64))
    with pytest.raises(InputError, match="cannot run"):
        RayEngine(cpus=0)
    wrong = Settings(threshold=0.5, compressor="lexical")
    with pytest.raises(CtxzipError, match="calibrated"):
        job.compress([str(source)], tmp_path / "b", wrong, engine=RayEngine(workers=1))
