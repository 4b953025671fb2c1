"""The bench of central: true journals, judged as any other, and figures that say what they are."""

import json

import pytest

import hexiao
from central import bench_upload
from central.bench_ground import Effort


def test_a_bench_judges_what_it_measures(engine: str) -> None:
    """The bench checks its own books at the end; the figure names both sides."""
    try:
        figure = bench_upload.upload(engine, Effort(batches=3, each=40))
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no PostgreSQL server can run here: {error}")
    assert (figure.engine, figure.rows, figure.batch) == (engine, 120, 40)
    assert figure.ratio == pytest.approx(figure.rows_per_s / figure.bare_rows_per_s, rel=0.05)
    assert (figure.met is None) == (figure.goal is None) == (engine == "sqlite")


def test_the_command_writes_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "central", "--json", "--batches", "1", "--engine", "sqlite"]
    assert hexiao.main(words) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["rows"] == 500


def test_a_number_of_batches_that_cannot_be_is_refused() -> None:
    assert hexiao.main(["bench", "central", "--batches", "0"]) == 2
