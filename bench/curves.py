"""C1 and C2: how throughput and the slowest answers grow with the writers, and what a long past costs.

`bench.plots` draws both from the file that `python -m bench --json` writes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

from warmth import warm_process

from bench import crowd, history
from bench.measure import Row, middle, ms, turns
from bench.one_command import PROGRAM
from bench.places import Place
from gitcoord.warm import address

WRITERS = (1, 2, 4, 8, 16, 32, 64)
EVENTS = (100, 1_000, 10_000, 100_000)
LOOKS = {"claim": ["claim", "x{}"], "status": ["status"]}


def writers(place: Place, limit: float, counts: Sequence[int] = WRITERS) -> Iterator[Row]:
    """C1: that many sessions of one machine claim at once, beside as many plain scripts."""
    for count in counts:
        ours = crowd.gitcoord(place, place.remote("file"), f"curve-{count}", outboxes=1, clones=1, sessions=count)
        plain = crowd.script(place, place.remote("file"), f"curve-plain-{count}", clones=1, limit=limit, sessions=count)
        yield Row(
            f"C1 {count} writers",
            f"{ours.rate:.1f} op/s, p99 {ours.p99:.2f} s",
            f"{plain.rate:.2f} op/s, p99 ≥ {plain.p99:.1f} s",
            ours.rate / plain.rate if plain.rate else float("inf"),
            "",
            None,
            {"writers": count, "ours_op_s": ours.rate, "ours_p99_s": ours.p99, "plain_op_s": plain.rate, "plain_p99_s": plain.p99},
        )


def past(place: Place, most: int) -> Iterator[Row]:
    """C2: a claim and a look behind that many events, in forks of the warm process."""
    with warm_process() as folder:
        first: dict[str, float] = {}
        for events in sorted({one for one in (*EVENTS, most) if one <= most}):
            clone, env, _ = history.seat(place, f"past-{events}", events, events // 100)
            env = {**env, address.SWITCH: str(folder)}

            def gitcoord(*words: str, clone=clone, env=env) -> None:  # type: ignore[no-untyped-def]
                subprocess.run([*PROGRAM, *words], cwd=clone, env=env, check=True, capture_output=True, timeout=3600)

            gitcoord("verify")  # whoever comes first reads the whole history
            cases = {
                name: lambda number, words=words: gitcoord(*(word.format(number) for word in words))
                for name, words in LOOKS.items()
            }
            took = {name: middle(times) for name, times in turns(cases, 7).items()}
            first = first or took
            for name, seconds in took.items():
                yield Row(
                    f"C2 {name} behind {events:,} events",
                    ms(seconds),
                    f"{ms(first[name])} behind 100",
                    seconds / first[name],
                    "",
                    None,
                    {"events": events, f"{name}_s": seconds},
                )
