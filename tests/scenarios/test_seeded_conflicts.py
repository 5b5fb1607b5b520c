"""Two branches that are green and red together, among innocent ones: the right two are named, with few runs."""

from __future__ import annotations

from math import ceil, log2
from pathlib import Path

import pytest
from seeded_conflicts import KINDS, build, named


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_trial_names_the_pair_that_is_red_together(kind: str, seed: int, tmp_path: Path) -> None:
    scene = build(kind, seed, tmp_path)
    pair, runs = named(scene)
    assert pair == scene.pair
    assert runs <= 2 * ceil(log2(scene.branches)) + 4  # the two by which it is known that there is something to look for
