"""Work in small jobs, on processes of this machine and on a dask cluster: how much is begun, and how it ends."""

import os
import time

import pytest

from lib.data import jobs


def test_a_cluster_begins_no_more_work_than_is_asked_for(tmp_path, dask_cluster):
    with dask_cluster(1, threads_per_worker=2, processes=False) as client:
        work = lambda job: (tmp_path / str(job)).touch() or job
        results = jobs.run(work, range(9), client=client, ahead=3)
        assert [next(results), next(results)] == [0, 1]
        time.sleep(0.3)
        assert sorted(file.name for file in tmp_path.iterdir()) == list("01234")
        assert list(results) == list(range(2, 9))
        assert list(jobs.run(abs, [], client=client)) == []


def test_work_on_a_cluster_that_is_stopped_begins_nothing_more(tmp_path, dask_cluster):
    with dask_cluster(1, processes=False) as client:
        results = jobs.run(lambda job: time.sleep(0.1) or (tmp_path / str(job)).touch(), range(9), client=client)
        next(results)
        results.close()
        time.sleep(0.5)
        assert 1 <= len(list(tmp_path.iterdir())) <= 3


def test_a_scheduler_that_ends_is_one_line_that_says_what_to_do(dask_cluster):
    with dask_cluster(1, processes=False, timeout=1) as client:
        results = jobs.run(time.sleep, [0, 2], client=client, name="videos")
        next(results)
        client.sync(client.cluster.scheduler.close)
        with pytest.raises(
            RuntimeError, match="videos: the scheduler of the cluster is gone.*what is finished is kept"
        ):
            list(results)


def test_a_process_that_dies_is_one_line_that_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"faces\.workers.*what is finished is kept") as error:
        list(jobs.run(os._exit, [1, 1], workers=2))
    assert "\n" not in str(error.value)
