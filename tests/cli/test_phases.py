"""The assembly line SPECS → BUILD → PRODUCTION, walked by commands only, each phase by another session in another clone."""

from __future__ import annotations

from clones import Seats
from remotes import Remote

THING = "church-guidance-ministry"


def test_work_goes_from_phase_to_phase_through_three_clones(file_remote: Remote, seats: Seats) -> None:
    ada, ben, eve = seats(file_remote, "session-001", "session-002", "session-003")
    ada.ok("init")
    for seat in (ada, ben, eve):
        seat.ok("start", seat.path.name)

    # Phase 1: SPECS
    ada.ok("claim", "droplet", THING, "--phase", "SPECS")
    ada.ok("heartbeat", "planning", THING, "SPECS", "--file", f"agents/{THING}/README.md")
    assert ben.run("claim", "droplet", THING).code == 3
    ada.ok("heartbeat", "completed", THING, "SPECS")
    ada.ok("release", "droplet", THING, "--done", "SPECS complete\n4-6 hours estimated", "--tests", "pass", "--next", "BUILD")

    # What the others see of it: on the board, in the claims, in the status, in their mail
    line = f"- droplet:{THING} for **BUILD** (left by session-001 at "
    [shown] = [one for one in ben.run("board").out.splitlines() if one.startswith(line)]
    assert "last phase SPECS" in shown
    assert "tests pass" in shown
    assert f"files agents/{THING}/README.md" in shown
    for command in ("claims", "status"):
        text = ben.run(command).out
        assert "ready to pick up" in text
        assert (
            f"droplet:{THING} for BUILD (left by session-001; last phase SPECS; tests pass; 1 files: agents/{THING}/README.md)"
            in text
        )
    [offer] = ben.ok("claims")["ready"]
    assert (offer["phase"], offer["next"], offer["tests"], offer["files"]) == (
        "SPECS",
        "BUILD",
        "pass",
        [f"agents/{THING}/README.md"],
    )
    [told] = ben.ok("inbox", "--type", "work_completed")["messages"]
    assert told["details"]["next_phase"] == "BUILD"

    # Phase 2: BUILD, by who takes the first free of several
    eve.ok("claim", "droplet", "dashboard")
    [held] = ben.ok("claim", "droplet", "dashboard", THING, "brick", "--any", "--phase", "BUILD")["claims"]
    assert held["resource_name"] == THING
    assert ben.ok("claims")["ready"] == []
    assert ben.ok("status")["handoffs"] == []
    ben.ok("heartbeat", "building", THING, "BUILD - landing page", "--file", "BUILD/src/main.py", "--file", "BUILD/src/form.py")
    ben.ok("heartbeat", "building", THING, "BUILD - intake form", "--progress", "50%")
    ben.ok(
        "release", "droplet", THING, "--done", "BUILD complete", "--tests", "fail", "--next", "PRODUCTION", "--to", "session-003"
    )

    # Phase 3: PRODUCTION, by the one for whom it was left
    [offer] = eve.ok("claims", "--overlapping", f"droplet:{THING}")["ready"]
    assert (offer["phase"], offer["next"], offer["tests"], offer["to"]) == ("BUILD", "PRODUCTION", "fail", "session-003")
    assert offer["files"] == ["BUILD/src/main.py", "BUILD/src/form.py"]
    assert eve.ok("claims", "--overlapping", "droplet:dashboard")["ready"] == []
    eve.ok("claim", "droplet", THING, "--phase", "PRODUCTION")
    ran = eve.run("run", "--claim", f"droplet:{THING}", "--claim", "slot:production", "--", "true")
    assert ran.code == 0
    eve.ok("release", "droplet", THING, "--done", "live", "--tests", "pass")

    # From history alone, who had it in which phase
    leases = ada.ok("history", "droplet", THING)["leases"]
    assert [(one["session"], one["phase"], one["how"], one["done"], one["tests"], one["next"]) for one in leases] == [
        ("session-001", "SPECS", "released", "SPECS complete\n4-6 hours estimated", "pass", "BUILD"),
        ("session-002", "BUILD", "released", "BUILD complete", "fail", "PRODUCTION"),
        ("session-003", "PRODUCTION", "released", "live", "pass", None),
    ]
    assert ada.ok("claims")["ready"] == []
    assert ada.ok("verify")["ok"]
