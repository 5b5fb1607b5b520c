"""Eight cloud sessions under each kind of host, adopters killed, a forger beside them. `--soak MINUTES` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cloud_workload import HOSTS, run


@pytest.mark.parametrize("host", HOSTS)
def test_each_command_is_adopted_once_and_no_forged_one(host: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--soak"):
        pytest.skip("--soak MINUTES runs it")
    report = run(host, 1200, 1, tmp_path)
    print(report.line())
    assert report.wrong == []
    assert report.said >= 1000
