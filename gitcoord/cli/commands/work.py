"""The commands of a working session: start, heartbeat, claim, renew, release, check, end, and who is there."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from gitcoord.cli import complete
from gitcoord.cli.arguments import missing, patience, refuse_words, resource, resources
from gitcoord.cli.commands import handoff
from gitcoord.cli.connect import answer, connection, options, others_words, out, say, table, tell
from gitcoord.connection.connect import utc_now
from gitcoord.core.names import branch_or_none
from gitcoord.core.sessions import standing
from gitcoord.core.times import parse_duration, parse_when, spell
from gitcoord.core.values import oid_or_none
from gitcoord.errors import BadInput, GitcoordError, NoSession, NotHeld, NotInitialised
from gitcoord.views import as_json

Names = Annotated[list[str] | None, typer.Argument(metavar="[TYPE] NAME...", autocompletion=complete.claims, show_default=False)]


def start(
    name: Annotated[str | None, typer.Argument(help="The session's name; none: the branch or folder, numbered if taken.")] = None,
    capability: Annotated[list[str] | None, typer.Option("--capability", help="What it can do; may be repeated.")] = None,
    role: Annotated[str | None, typer.Option(help="Its role, for example reviewer.")] = None,
    work: Annotated[str | None, typer.Option(help="What it is going to do.")] = None,
    new: Annotated[bool, typer.Option("--new", help="A new session, even where one sits already.")] = False,
) -> None:
    """Register a session, or go on with the one of this work tree."""
    with connection() as found:
        boss = found.coordinator
        session, receipt = boss.start(name, new=new, capabilities=capability or [], role=role, work=work, op=options.op)
        words = f"session {session}" + (" (queued: the remote is away)" if receipt.state == "queued" else "")
        state = "queued" if receipt.state == "queued" else "committed"
        offers = []
        with suppress(NotInitialised):  # a first start that is still queued
            offers = boss.offered()
        told = {"session_id": session, "run_id": boss.who.run_id, "seq": receipt.seq or None, "state": state}
        answer({**told, "handoffs": [as_json.record(one) for one in offers]}, words)
        handoff.tell_offered(offers)


def whoami() -> None:
    """Say which session this is."""
    with connection() as found:
        boss = found.coordinator
        session, binding = boss.whoami()
        if not boss.who.session:
            raise NoSession("no session is known in this work tree", hint="gitcoord start")
        name = boss.who.session
        run = session.run_id if session else binding.run_id if binding else ""
        seq = session.start_seq if session else None
        state = "committed" if session else "queued"
        lines = [name]
        if session is not None:
            lines.append(
                f"  {session.status}, started {spell(session.started_at)}"
                + (f", {session.current_work}" if session.current_work else "")
            )
        answer(
            {"session_id": name, "run_id": run, "seq": seq, "state": state, "status": session.status if session else None}, *lines
        )


def peers(
    capability: Annotated[str | None, typer.Option(help="Only those who can do this.")] = None,
    role: Annotated[str | None, typer.Option(help="Only those with this role.")] = None,
) -> None:
    """List the other sessions that are there."""
    with connection() as found:
        boss = found.coordinator
        state = boss.view().state
        others = [
            one
            for one in sorted(state.sessions.live(), key=lambda one: one.start_seq)
            if one.session_id != boss.who.session
            and (capability is None or capability in one.capabilities)
            and role in (None, one.role)
        ]
        now, quiet = boss.time_now(), state.rules.quiet_after
        stands = {one.session_id: standing(one, now, quiet) for one in others}
        if options.json:
            answer({"sessions": [{**as_json.record(one), "quiet": stands[one.session_id] == "quiet"} for one in others]})
            return
        rows = [
            [
                one.session_id, stands[one.session_id], one.current_work or "", one.role or "", ", ".join(one.capabilities),
                one.repo or "", spell(one.last_heartbeat),
            ]
            for one in others
        ]  # fmt: skip
        with others_words():
            table(["SESSION", "STATUS", "WORK", "ROLE", "CAN", "REPO", "LAST HEARD"], rows)


def heartbeat(
    action: Annotated[str | None, typer.Argument(help="What you do: building, testing, blocked, waiting, idle, …")] = None,
    target: Annotated[str | None, typer.Argument(help="To what; for `waiting`: person, claim or answer.")] = None,
    phase: Annotated[str | None, typer.Argument(help="The phase of the work.")] = None,
    progress: Annotated[str | None, typer.Option(help="How far, for example 30%.")] = None,
    next_action: Annotated[str | None, typer.Option("--next", help="What comes next.")] = None,
    eta: Annotated[str | None, typer.Option(help="When it will be done: 30m, 4h, or a time.")] = None,
    file: Annotated[list[str] | None, typer.Option("--file", help="A file you touch; may be repeated.")] = None,
    blocked_by: Annotated[str | None, typer.Option(help="What blocks you.")] = None,
) -> None:
    """Say what you are doing; renews what you hold when it is due."""
    with connection() as found:
        files = [resource(found, f"file:{path}").name for path in file or []]
        receipt = found.coordinator.heartbeat(
            op=options.op, action=action, target=target, phase=phase, progress=progress, next_action=next_action,
            blocked_by=blocked_by, files_touched=tuple(files), estimated_completion=_when(eta, ahead=True) if eta else None,
        )  # fmt: skip
        answer(as_json.receipt(receipt), f"heartbeat {receipt.state}")


def _when(text: str, *, ahead: bool) -> datetime:
    return parse_when(text, now=utc_now(), ahead=ahead)


def _seconds(text: str | None) -> int | None:
    return int(parse_duration(text).total_seconds()) if text else None


def claim(
    names: Names = None,
    ttl: Annotated[str | None, typer.Option(help="How long the lease lasts without a heartbeat: 30m, 1h, …")] = None,
    estimate: Annotated[str | None, typer.Option(help="How long the work will take, for people to read.")] = None,
    phase: Annotated[str | None, typer.Option(help="The phase of the work, for example BUILD.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, in a sentence.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Others may hold it shared too.")] = False,
    any_of: Annotated[bool, typer.Option("--any", help="The first free one of several.")] = False,
    no_coordination: Annotated[bool, typer.Option("--no-coordination", help="Don't ask me to give it up.")] = False,
    if_stale: Annotated[bool, typer.Option("--if-stale", help="Take over from a holder that has been silent for long.")] = False,
    breaks: Annotated[
        int | None, typer.Option("--break", metavar="FENCE", help="Take it from its holder; name the lease's fence.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stand in line until it is free.")] = False,
    timeout: Annotated[str | None, typer.Option(metavar="TIME", help="How long to wait: 90s, 30m; the place stays longer.")] = None,
) -> None:
    """Hold a file, a folder, a glob or anything named; what you hold already is renewed. Bare: list."""
    if not names:
        claims()
        return
    if timeout and not wait:
        raise BadInput("--timeout says how long to --wait", hint="gitcoord claim … --wait --timeout 90s")
    with connection() as found:
        boss = found.coordinator
        refuse_words(found, names)
        wanted = resources(found, names)
        asked: dict[str, Any] = {
            "mode": "shared" if shared else "exclusive", "any_of": any_of, "ttl_seconds": _seconds(ttl), "phase": phase,
            "reason": reason, "estimated_duration": estimate, "allow_coordination": not no_coordination, "if_stale": if_stale,
            "breaks": breaks,
        }  # fmt: skip
        try:
            held = boss.acquire(wanted, wait=patience(boss, timeout) if wait else None, told=say, op=options.op, **asked)
        except GitcoordError as error:
            outcome = {3: "blocked", 5: "unknown"}.get(error.exit_code, "failed")
            code = tell(error, outcome=outcome, claims=[], blocked_by=[], place=None, commit=None, seq=None)
            raise typer.Exit(code) from error
        except KeyboardInterrupt:
            if wait:
                say("your place in line is kept for some minutes; give it up with: gitcoord release, and the same names")
            raise
        for entry in held.taken:
            fence, holder, why, what = entry.split(" ", 3)
            say(f"took {what} over from {holder} (fence {fence}, {why})")
        for name in missing(found, wanted):
            say(f"warning: there is no {name} here: it is held as the name of a file to come")
        lines = [f"held: {one.resource} until {spell(one.expires_at)} (fence {one.fence})" for one in held.claims]
        answer(
            {
                "outcome": "held", "claims": [as_json.short_claim(one) for one in held.claims], "blocked_by": [], "place": None,
                "commit": held.receipt.commit, "seq": held.receipt.seq, "id": held.receipt.id,
            },
            *lines,
        )  # fmt: skip


def renew(names: Names = None, ttl: Annotated[str | None, typer.Option(help="How long from now.")] = None) -> None:
    """Hold on to leases; none named: all of yours."""
    with connection() as found:
        held = found.coordinator.renew(resources(found, names) if names else [], _seconds(ttl), op=options.op)
        lines = [f"held: {one.resource} until {spell(one.expires_at)} (fence {one.fence})" for one in held.claims]
        answer(
            {
                "outcome": "held", "claims": [as_json.short_claim(one) for one in held.claims], "blocked_by": [], "place": None,
                "commit": held.receipt.commit or None, "seq": held.receipt.seq or None,
            },
            *(lines or ["nothing is held"]),
        )  # fmt: skip


def release(
    names: Names = None,
    everything: Annotated[bool, typer.Option("--all", help="All that you hold.")] = False,
    done: Annotated[str | None, typer.Option(help="What you finished: told to all.")] = None,
    tests: Annotated[str | None, typer.Option(help="pass or fail.")] = None,
    next_phase: Annotated[str | None, typer.Option("--next", metavar="PHASE", help="Ready to pick up for this phase.")] = None,
    to: Annotated[str | None, typer.Option(metavar="WHO", help="For whom it is ready.")] = None,
) -> None:
    """Give leases back. What nobody holds is fine; what another holds is exit 4."""
    if bool(names) == everything:
        raise BadInput("say what to release, or --all", hint="gitcoord claims --mine")
    verdict: Literal["pass", "fail"] | None = None
    if tests is not None:
        if tests not in ("pass", "fail"):
            raise BadInput(f"--tests is pass or fail, not {tests!r}")
        verdict = "pass" if tests == "pass" else "fail"
    with connection() as found:
        told: dict[str, Any] = {"done": done, "tests": verdict, "next_phase": next_phase, "to": to}
        if done is not None or next_phase:
            head = found.repo.head()
            told |= {"branch": branch_or_none(head.branch), "commit": oid_or_none(head.commit)}
        wanted = resources(found, names) if names else None
        receipt, freed = found.coordinator.release(wanted, op=options.op, **told)
        words = [f"released: {entry.split(' ', 1)[1]}" for entry in freed]
        given = {entry.split(" ", 1)[1] for entry in freed}
        unheld = [str(one) for one in wanted or () if str(one) not in given]
        nothing = f"nothing was held: {', '.join(unheld)} is nobody's" if unheld else "nothing was held"
        for name in unheld if freed else ():
            say(f"warning: {name} was not held by you, nor by anybody")
        if receipt.state == "queued":
            words = [f"{line} (queued: the remote is away)" for line in words]
        answer(
            {**as_json.receipt(receipt), "released": [entry.split(" ", 1)[1] for entry in freed]},
            *(words or [nothing]),
        )


def claims(
    mine: Annotated[bool, typer.Option("--mine", help="Only yours.")] = False,
    overlapping: Annotated[str | None, typer.Option(metavar="PATH", help="Only what overlaps this.")] = None,
) -> None:
    """List who holds what."""
    with connection() as found:
        boss = found.coordinator
        over = resource(found, overlapping) if overlapping else None
        leases = boss.leases(mine=mine, overlapping=over)
        ended = boss.over(mine=mine, overlapping=over)
        places = boss.places(mine=mine, overlapping=over)
        ready = boss.ready(over) if not mine else []
        if options.json:
            told = {
                "claims": [as_json.claim(one) for one in leases],
                "over": [as_json.claim(one) for one in ended],
                "waiting": [{**as_json.record(place), "place": number} for number, place in places],
                "ready": [as_json.record(one) for one in ready],
            }
            answer(told)
            return
        rows = [
            [
                str(one.resource), one.claimed_by + (" (you)" if one.claimed_by == boss.who.session else ""), one.mode,
                spell(one.expires_at), str(one.fence), one.phase or one.reason or "",
            ]
            for one in leases
        ]  # fmt: skip
        with others_words():
            table(["WHAT", "HOLDER", "MODE", "UNTIL", "FENCE", "FOR"], rows)
            for one in ended[:10]:
                whose = "yours" if one.claimed_by == boss.who.session else f"that of {one.claimed_by}"
                out(f"over: {one.resource}, {whose} until {spell(one.expires_at)} (fence {one.fence})")
            if len(ended) > 10:
                out(f"… and {len(ended) - 10} more that are over (--json has them all)")
            if places:
                out("")
                table(
                    ["WAITS", "FOR", "MODE", "PLACE", "SINCE"],
                    [
                        [
                            one.session_id,
                            (" or " if one.any_of else " and ").join(one.resources),
                            one.mode,
                            str(number),
                            spell(one.since),
                        ]
                        for number, one in places
                    ],
                )
            for offer in ready[:10]:
                out(f"ready to pick up: {as_json.offer_line(offer)}")


def check(
    names: Annotated[list[str], typer.Argument(metavar="[TYPE] NAME...", show_default=False)],
    fence: Annotated[int | None, typer.Option(help="The fence your lease has.")] = None,
) -> None:
    """Exit 0 if it is free or yours, 3 if another holds it, 4 if your fence is an old one."""
    with connection() as found:
        wanted = resources(found, names)
        try:
            mine = found.coordinator.check(wanted, fence)
        except NotHeld as error:
            raise typer.Exit(tell(error, outcome="stale")) from error
        what = ", ".join(map(str, wanted))
        outcome = "held" if mine else "free"
        words = f"{what}: " + (f"yours until {spell(mine[0].expires_at)} (fence {mine[0].fence})" if mine else "free")
        answer({"outcome": outcome, "claims": [as_json.short_claim(one) for one in mine], "blocked_by": []}, words)


def end(
    done: Annotated[list[str] | None, typer.Option("--done", help="What was finished; may be repeated.")] = None,
    notes: Annotated[str | None, typer.Option(help="What the next one should know.")] = None,
    to: Annotated[
        str | None, typer.Option("--handoff", metavar="WHO", help="Leave a handoff: for a session, a group, or anyone.")
    ] = None,
    following: Annotated[str | None, handoff.NEXT] = None,
    blockers: Annotated[str | None, handoff.BLOCKERS] = None,
    tests: Annotated[str | None, handoff.TESTS] = None,
    branch: Annotated[str | None, handoff.BRANCH] = None,
) -> None:
    """Release all and end the session; with --handoff what you held is left for somebody to take."""
    if to is None and any((following, blockers, tests, branch)):
        raise BadInput("--next, --blockers, --tests and --branch are for --handoff", hint="gitcoord end --handoff anyone")
    with connection() as found:
        boss = found.coordinator
        name = boss.who.session
        held = boss.identity.held(name) if name else []
        said = {"next": following, "blockers": blockers, "tests": tests} if to is not None else {}
        where = handoff.code(found, branch) if to is not None else {}
        receipt = boss.end(done or [], notes, to=to, op=options.op, **said, **where)
        left = f", handoff {receipt.seq or ''} left for {to}" if to is not None else ""
        answer(
            as_json.receipt(receipt),
            f"session {name} ended" + left + (" (queued: the remote is away)" if receipt.state == "queued" else ""),
        )
        if held and to is None:
            say(f"note: {len(held)} claim(s) are free now; to leave work to somebody: gitcoord end --handoff, or gitcoord handoff")
