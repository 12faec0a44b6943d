"""Running a job: engines, workers, the cache and the output folder."""
