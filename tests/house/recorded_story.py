"""The story that `record_session` records: two hundred commands and more, typed by people and agents on four machines.

Each line that calls a seat is a recorded command; `write`, `prepare` and `later` are not. What they answer isn't judged.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from record_session import Recorder, Seat

COMMANDS = (
    "", "start", "status", "briefing", "heartbeat", "claim", "renew", "release", "check", "run", "request", "respond", "send",
    "inbox", "ask", "reply", "listen", "handoff", "take", "end", "claims", "handoffs", "peers", "whoami", "board", "log",
    "history", "verify", "statusline", "install", "uninstall", "init", "sync", "config", "guard", "doctor", "mcp", "relay",
    "demo", "hook", "hooks", "hooks install", "hooks uninstall", "hooks status",
)  # fmt: skip

CUT_OFF = """\
#!/bin/sh
# A git whose connection is cut behind a push: the push arrives, its answer doesn't, and nobody can look what came of it.
case " $* " in
*" push "*)
    said=$({git} "$@") || {{ code=$?; echo "$said"; exit $code; }}
    : >"{place}/cut"
    echo "fatal: the remote end hung up unexpectedly" >&2
    exit 128
    ;;
*" fetch "* | *" ls-remote "*)
    [ ! -e "{place}/cut" ] || {{ echo "fatal: Could not read from remote repository." >&2; exit 128; }}
    ;;
esac
exec {git} "$@"
"""

HOOK_OF_THE_PROJECT = "#!/bin/sh\necho 'the project checks this commit'\n"


@dataclass(frozen=True)
class Cast:
    """Who is in the story. `ada` and `ben` are people in clones on two machines, `tree` a work tree of ada's clone, `cleo` an agent
    (Claude Code) and `dex` another (Codex) in clones of their own.
    """

    ada: Seat
    ben: Seat
    tree: Seat
    cleo: Seat
    dex: Seat


def play(recorder: Recorder) -> None:
    """Plays all of it, and writes down the branches and what was installed."""
    cast = set_up(recorder)
    for name in COMMANDS:
        cast.ada(f"{name} --help")
    before_anything(recorder, cast)
    first_claims(cast)
    asking_the_holder(cast)
    waiting_in_line(recorder, cast)
    expiry(recorder, cast)
    talking(cast)
    handing_over(recorder, cast)
    git_hooks(recorder, cast)
    agents(recorder, cast)
    by_mcp(cast)
    running(cast)
    looking(cast)
    settings(cast)
    trouble(recorder, cast)
    relaying(recorder, cast)
    alone(recorder)
    several_repositories(recorder)
    taking_it_out(recorder, cast)
    recorder.branch("main", "remote.git")


def set_up(recorder: Recorder) -> Cast:
    """Makes a remote with a commit on it, and the clones."""
    recorder.prepare("git", "init", "-q", "--bare", "-b", "main", "remote.git")
    for name in ("ada", "ben", "cleo", "dex"):
        recorder.prepare("git", "clone", "-q", "remote.git", name)
        recorder.prepare("git", "config", "gitcoord.deadline", "30", cwd=name)
    ada = recorder.seat("ada", host="m1")
    for path in ("src/api.py", "src/web.py", "src/models.py", "docs/guide.md", "docs/faq.md", "README.md"):
        ada.write(path, f"{path}\n")
    recorder.prepare("git", "add", ".", cwd="ada")
    recorder.prepare("git", "commit", "-qm", "Begin", cwd="ada")
    recorder.prepare("git", "push", "-q", "origin", "HEAD", cwd="ada")
    for name in ("ben", "cleo", "dex"):
        recorder.prepare("git", "pull", "-q", cwd=name)
    recorder.prepare("git", "worktree", "add", "-q", "-b", "feature", "../tree", cwd="ada")
    claude = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "c-1"}
    return Cast(
        ada,
        recorder.seat("ben", host="m2"),
        recorder.seat("tree", host="m1"),
        recorder.seat("cleo", host="m3", **claude),
        recorder.seat("dex", host="m4", CODEX_THREAD_ID="t-1"),
    )


def before_anything(recorder: Recorder, cast: Cast) -> None:
    """What commands say where nobody coordinates; then the branch is made."""
    nowhere = recorder.seat("tmp", host="m1")
    nowhere("--version")
    nowhere("status")
    nowhere("frobnicate --json")
    cast.ada("status")
    cast.ada("claim src/api.py")
    cast.ada("init --remote upstream")
    cast.ada("install --dry-run")
    cast.ada("init --json")
    cast.ada("init")
    cast.ada.run(["git-coord", "status"])


def first_claims(cast: Cast) -> None:
    """Sessions, claims, refusals."""
    ada, ben = cast.ada, cast.ben
    ada('start session-001 --work "the landing page" --role author --capability python --capability css')
    ada("start --json")
    ada("whoami")
    ben("whoami")
    ben("start session-001")
    ben("start session-002 --role reviewer --json")
    ben("peers")
    ben("peers --capability css --json")
    ada('claim src/api.py --phase BUILD --reason "the endpoints" --estimate 4h')
    ada("claim src/api.py --ttl 2h --json")
    ben("claim src/api.py")
    ben("claim src --json")
    ben("claim 'docs/*' slot:staging --json --op my-own-1")
    ben("claim 'docs/*' slot:staging --json --op my-own-1")
    ben("claim src/api.py src/new.py src/web.py --any")
    ben("claim ../outside.py")
    ben("claim src/models.py --ttl soon")
    ben("claim src/models.py --timeout 2s")
    ben("check src/api.py")
    ben("check src/api.py --json")
    ben("check src/models.py")
    ada("check src/api.py --fence 3 --json")
    ada("claims")
    ben("claims --mine --json")
    ben("claims --overlapping src/api.py")
    cast.ada.within("src")("claim models.py --shared")
    ben("claim src/models.py --shared --json")
    ada('heartbeat testing src/api.py BUILD --progress 30% --next "the docs" --eta 30m --file src/api.py')
    ada('heartbeat blocked --blocked-by "no key for the service" --json')
    ada("heartbeat")
    ada("renew")
    ada("renew src/api.py --ttl 3h --json")
    ada("")
    ben("status --json")


def asking_the_holder(cast: Cast) -> None:
    """Requests, and their answers."""
    ada, ben = cast.ada, cast.ben
    asked = ben('request src/api.py "May I, for the tests?" --json')
    ada("inbox --peek")
    ada(f'respond {asked.seq} deny "In a minute."')
    ben("inbox --json")
    asked = ben("request file src/api.py --json")
    ada(f"respond {asked.seq} maybe")
    ada(f"respond {asked.seq} approve --json")
    ben("inbox")
    ben("claim src/api.py")
    ada("release src/api.py")
    ada("release src/unheld.py")
    ada("release")
    ben('release src/api.py --done "endpoints work" --tests pass --next PRODUCTION --to session-001')
    ada("claims")
    ada("claim deploy:production --no-coordination --json")
    ben("request deploy:production")
    ben("release deploy:production --json")


def waiting_in_line(recorder: Recorder, cast: Cast) -> None:
    """A queue, an offer, a deadlock, capacities, a lease that is broken."""
    ada, ben, tree = cast.ada, cast.ben, cast.tree
    ada("claim src/api.py")
    ben("claim src/api.py --wait --timeout 1s")
    ben("claim src/api.py --wait --timeout 1s --json")
    tree("start --json")
    tree("claim src/api.py --wait --timeout 1s")
    ben("claims")
    ada("status --json")
    ada("release src/api.py --json")
    tree("claim src/api.py")
    ben("claim src/api.py --wait --timeout 5s")
    ada("claim lock:a")
    ben("claim lock:b")
    ada("claim lock:b --wait --timeout 1s")
    ben("claim lock:a --wait --timeout 1s")
    ben("claim lock:a --wait --timeout 1s --json")
    ada("release lock:a lock:b")
    ben("release lock:b")
    ada("config --shared capacity.ci 2")
    ada("claim ci:slot")
    ben("claim ci:slot")
    tree("claim ci:slot --json")
    broken = ben("claim lock:c --json").value("fence")
    ada("claim lock:c --break 1")
    ada(f"claim lock:c --break {broken}")
    ben("status")


def expiry(recorder: Recorder, cast: Cast) -> None:
    """Leases that end, take-overs, places of the silent, and clocks that are wrong."""
    ada, ben, tree = cast.ada, cast.ben, cast.tree
    fence = ada("claim src/web.py --ttl 10m --json").value("fence")
    ben("claim src/web.py --if-stale")
    recorder.later(minutes=12)
    ben("heartbeat")
    ben("claims")
    ben("claim src/web.py")
    ada(f"check src/web.py --fence {fence}")
    ada("renew src/web.py --json")
    ada("heartbeat")
    recorder.later(minutes=50)
    ada("heartbeat reviewing docs")
    ada("claim src/api.py --if-stale")
    ben("claim lock:d --ttl 20h")
    ben.like(CLOCK_AHEAD="7200")("claim lock:e")
    ben.like(CLOCK_AHEAD="-7200")("claim lock:e --json")
    recorder.later(hours=2)
    ada("status")
    ada("take --from feature --json")
    ada("take --from nobody")
    ada("claim src/web.py")
    ben("heartbeat testing")
    tree("heartbeat")
    tree("start again --new")
    tree.shell("cd .; gitcoord start --new third --json && gitcoord whoami; true")
    tree("start")


def talking(cast: Cast) -> None:
    """Messages, questions, answers."""
    ada, ben = cast.ada, cast.ben
    ben('send session-001 "May I have src/api.py when you are done?" --type question')
    ben('send role:author "Ready to look at" "Line one.\nLine two." --detail ticket=12 --detail day=monday --json')
    ben("send broadcast - --type notice --expires 4h", "main is frozen\nuntil tonight\n")
    ben('send cap:css "The colours" --urgent --op mail-1')
    ben('send repo:remote "To all who work here"')
    ben('send session-999 "Is anybody there?"')
    ben('send session-001 "a note" --detail nothing')
    ben('send session-001 "the key is AKIAIOSFODNN7EXAMPLE and ghp_0123456789abcdefghijABCDEFGHIJ012345"')
    ben('send session-001 "password=hunter2hunter2X9 for the test" --allow-secret')
    ada("inbox --from session-002 --type question")
    ada("inbox --json")
    ada("inbox")
    ada("inbox --all")
    ada('reply "In ten minutes." --json')
    ada("reply 9999 nothing")
    ben("inbox --sent")
    ben("inbox --sent --json")
    ben("inbox --wait --timeout 1s")
    ben("inbox --wait --timeout 1s --json")
    asked = ben('ask session-001 "Which version?" --timeout 1s --json')
    ada("listen --timeout 1s")
    ada("listen --timeout 1s --json")
    ada('reply "Version 2." --wait --timeout 1s')
    ben("listen --timeout 1s --json")
    ben(f"inbox {asked.seq}")
    ada('send session-002 "one more"')
    ben("listen --timeout 2s --announce")
    ben("")
    ben("statusline")
    ben("statusline --json")


def handing_over(recorder: Recorder, cast: Cast) -> None:
    """Handoffs, briefings, ends."""
    ada, ben, tree = cast.ada, cast.ben, cast.tree
    ada("briefing")
    ada("briefing --json")
    ada("briefing --all")
    ben("claim docs/guide.md docs/faq.md")
    offer = ben('handoff session-001 "all is in the branch" --next "the form" --done "the table" --tests "2 fail" --json')
    ben("handoff anyone --claim lock:d --json")
    ben("handoff --branch nowhere")
    ben("handoffs")
    ada("handoffs --json")
    ada(f"take {offer.seq}")
    ada("take --json")
    ada("take 4711")
    ada("handoffs --all")
    tree('end --handoff anyone --next "go on here" --done "a" --done "b" --notes "see the branch"')
    tree("end")
    tree("start --work 'what was left' --json")
    ada("end --next later")


def git_hooks(recorder: Recorder, cast: Cast) -> None:
    """git's hooks: put in, at work, taken away."""
    ada, ben = cast.ada, cast.ben
    hook = "\n".join(("cat > .git/hooks/pre-commit <<'E'", HOOK_OF_THE_PROJECT + "E", "chmod 755 .git/hooks/pre-commit"))
    ada("hooks status")
    ada("hooks install --git --guard --trailers --dry-run")
    ada.shell(hook)
    ada("hooks install --git --guard --trailers")
    ada("hooks install --json")
    ada("hooks status --git --json")
    ben("hooks install --git --guard")
    recorder.installed("git-hooks", "ada/.git/hooks", "ben/.git/hooks")
    ada.write("src/web.py", "changed\n")
    ada.git("add src/web.py")
    ada("guard --staged --json")
    ada.git("commit -m 'Change the page'")
    ada.git("log -1 --format=%B")
    ada.git("push origin HEAD")
    ben("claim src/web.py src/other.py")
    ada("release --all --json")
    ben("claim src/models.py README.md src/web.py --phase TEST")
    ada.write("README.md", "ada was here\n")
    ada("guard README.md")
    ada.git("commit -am 'Change the readme'")
    ada("config --shared guard block")
    ada.write("README.md", "ada was here again\n")
    ada("guard README.md src/new.py --json")
    ada.git("commit -am 'Change it again'")
    ada.git("commit -am 'Change it all the same'", GITCOORD="0")
    ada.git("push origin HEAD")
    ada("guard")
    ada.git("checkout -b topic")
    ada.git("rebase HEAD~1")
    ada.git("commit --allow-empty --amend -m 'Say it better'")
    ada.git("checkout -q main")
    ada("log --limit 5")
    ada("hooks uninstall --git --dry-run")
    ada("hooks uninstall --git")
    ada.git("push -q origin HEAD")
    recorder.installed("git-hooks-away", "ada/.git/hooks")
    ben("hooks uninstall --git --json")
    recorder.prepare("git", "config", "core.hooksPath", ".husky", cwd="ben")
    ben.write(".husky/pre-commit", "npm test\n")
    ben("hooks install --git --guard")
    ben("hooks install --git --guard --shared")
    ben("hooks status --git")
    recorder.installed("shared-hooks", "ben/.husky")
    ben("hooks uninstall --git --shared")
    recorder.installed("shared-hooks-away", "ben/.husky")
    recorder.prepare("git", "config", "--unset", "core.hooksPath", cwd="ben")


def agents(recorder: Recorder, cast: Cast) -> None:
    """Coding agents: what is installed for them, and what they are told."""
    cleo, dex, ben = cast.cleo, cast.dex, cast.ben
    for seat in (cleo, dex):
        seat.git("fetch -q")  # a clone that has the branch is one that coordinates
    cleo("hooks install --agent claude --dry-run")
    cleo("hooks install --agent nobody")
    cleo("hooks install --agent all")
    cleo("hooks install --agent claude --agent codex --scope user --json")
    cleo("hooks status")
    cleo("hooks status --agent codex --json")
    recorder.installed("agents", "cleo/.claude", "cleo", "home")
    place = str(cleo.folder)
    base: dict[str, Any] = {"session_id": "c-1", "cwd": place, "transcript_path": "/t.jsonl", "permission_mode": "default"}

    def claude(event: str, **more: Any) -> None:
        cleo.payload("claude", {**base, "hook_event_name": event, **more})

    edit = {"tool_name": "Edit", "tool_input": {"file_path": f"{place}/README.md", "old_string": "a", "new_string": "b"}}
    write = {"tool_name": "Write", "tool_input": {"file_path": f"{place}/src/mine.py", "content": "x"}}
    claude("SessionStart", source="startup", model="m")
    cleo("whoami --json")
    cleo("status")
    claude("UserPromptSubmit", prompt="do it", prompt_id="p-1")
    claude("PreToolUse", tool_use_id="t-1", **edit)
    cleo.git("config gitcoord.guard warn")
    claude("PreToolUse", tool_use_id="t-2", **edit)
    cleo.git("config gitcoord.autoclaim true")
    claude("PreToolUse", tool_use_id="t-3", **write)
    claude("PostToolUse", tool_use_id="t-3", tool_response={}, **write)
    ben('ask role:agent "who is an agent?" --timeout 1s')
    name = cleo("whoami --json").value("session_id")
    ben(f'send {name} "What did you change?" --type question')
    recorder.later(minutes=2)
    cleo("sync")
    claude("PostToolUse", tool_use_id="t-4", tool_response={}, **write)
    claude("Stop", stop_hook_active=False, last_assistant_message="done")
    cleo("inbox")
    cleo('reply "Nothing yet."')
    cleo("claim README.md")
    cleo("claims")
    cleo("log --limit 3")
    claude("PreCompact", trigger="auto")
    claude("SessionStart", source="compact")
    claude("SessionEnd", reason="other")
    cleo("whoami")
    codex: dict[str, Any] = {"session_id": "t-1", "cwd": str(dex.folder), "model": "gpt", "permission_mode": "default"}
    patch = "*** Begin Patch\n*** Update File: README.md\n@@\n+x\n*** End Patch"
    used = {"tool_name": "apply_patch", "tool_input": {"command": patch}, "tool_use_id": "call_1"}
    dex.payload("codex", {**codex, "hook_event_name": "SessionStart", "source": "startup", "transcript_path": "/t"})
    dex.payload("codex", {**codex, "hook_event_name": "PreToolUse", **used})
    dex.payload("", {**codex, "hook_event_name": "Stop", "stop_hook_active": False})
    dex("statusline", json.dumps({"cwd": str(dex.folder), "session_id": "t-1"}))
    for agent, payload in others(str(dex.folder)).items():
        dex.like(CODEX_THREAD_ID="").payload(agent, payload)
    dex.run(["gitcoord", "hook"], "no json at all")
    cleo("hooks uninstall --agent all")
    cleo("hooks uninstall --agent all --scope user --json")
    recorder.installed("agents-away", "cleo/.claude", "cleo", "home")


def others(place: str) -> Mapping[str, Mapping[str, Any]]:
    """Return a first payload of each agent that the story has no more room for."""
    cursor = {"conversation_id": "k-1", "cursor_version": "2.0", "workspace_roots": [place]}
    return {
        "copilot": {"sessionId": "g-1", "cwd": place, "source": "new", "initialPrompt": "x"},
        "cursor": {**cursor, "hook_event_name": "sessionStart"},
        "gemini": {"session_id": "m-1", "cwd": place, "hook_event_name": "SessionStart", "source": "startup"},
        "opencode": {"event": "start", "session_id": "o-1", "cwd": place},
    }


def by_mcp(cast: Cast) -> None:
    """An agent that speaks MCP."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "hand", "version": "1"}}
    calls: list[tuple[str, Mapping[str, Any]]] = [
        ("status", {}),
        ("claim", {"resources": ["src/mcp.py", "README.md"], "wait_seconds": 0}),
        ("claim", {"resources": ["src/mcp.py"], "reason": "by MCP"}),
        ("heartbeat", {"action": "building", "progress": "10%", "next": "more"}),
        ("send", {"to": "session-001", "message": "hello\nfrom a server"}),
        ("ask", {"to": "session-001", "question": "Are you there?", "wait_seconds": 1}),
        ("inbox", {"peek": True}),
        ("handoff", {"action": "list"}),
        ("handoff", {"action": "offer", "to": "anyone", "next": "go on"}),
        ("release", {"all": True, "end_session": True}),
        ("release", {"nonsense": 1}),
    ]
    lines: list[Mapping[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        {"id": 3, "method": "resources/list"},
        {"id": 4, "method": "resources/read", "params": {"uri": "gitcoord://board"}},
        {"id": 5, "method": "resources/read", "params": {"uri": "gitcoord://briefing"}},
        *(
            {"id": 10 + number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ),
    ]
    cast.dex.like(CODEX_THREAD_ID="t-2").talk(["gitcoord", "mcp"], [{"jsonrpc": "2.0", **line} for line in lines])
    cast.dex("mcp --timeout 2h")


def running(cast: Cast) -> None:
    """Commands that run under a lease."""
    ada, ben = cast.ada, cast.ben
    ada("run --claim slot:staging2 -- sh -c 'echo fence $GITCOORD_FENCE as $GITCOORD_SESSION; gitcoord claims; exit 3'")
    ada("run --claim slot:staging2 --json -- true")
    ada("run --claim README.md -- true")
    ada("run --claim README.md --json -- true")
    ada("run --claim slot:other -- no-such-program")
    ada("run --claim slot:other")
    ada("run --claim README.md --wait --timeout 1s -- true")
    ben("run --claim README.md --keep-going --json -- gitcoord release README.md")
    ben("claim README.md")
    ben("run --claim README.md --claim slot:other --phase TEST -- sh -c 'cat; echo and more >&2'", "some input\n")


def looking(cast: Cast) -> None:
    """The board, the log, history, verification."""
    ada, ben = cast.ada, cast.ben
    ada("board")
    ada("board --json")
    ada("board --at 20")
    ada("board --at 2025-03-03T10:00:00Z --from-history")
    ada("board --from-history --output ../tmp/board.md")
    ada("timeline --json")
    ada("page --since 20m --output ../tmp/page.html")
    ada("log")
    ada("log --limit 200 --json")
    ada("log --session session-002 --limit 10")
    ada("log --resource file:src/api.py")
    ada("log --since 30")
    ada("log --since 1h --json")
    ada.shell("gitcoord log --follow --json --since 1 | head -n 3")
    ada("history src/api.py")
    ada("history lock a --json")
    ada("history src/a.py src/b.py")
    ada("verify")
    ada("verify --full --json")
    ada("status --all")
    ada("status --all --json")
    ada("status --cached")
    ada("--json claims --cached")
    ada("--quiet sync")
    ada("-C ../ben whoami --session session-002")
    ben.git("fetch -q origin coordination")
    ben.git("log -5 --oneline FETCH_HEAD")
    ada.like(_GITCOORD_COMPLETE="complete_bash", COMP_WORDS="gitcoord send ses", COMP_CWORD="2").run(["gitcoord"])


def settings(cast: Cast) -> None:
    """A clone's settings, and those of all."""
    ada = cast.ada
    ada("config")
    ada("config --json")
    ada("config deadline 7")
    ada("config deadline")
    ada("config colour red")
    ada("config guard perhaps")
    ada("config guard warn --json")
    ada("config --shared")
    ada("config --shared grace 90 --json")
    ada("config --shared default_ttl 1")
    ada("config --shared colour red")
    ada("config --shared skip_ci --json")


def trouble(recorder: Recorder, cast: Cast) -> None:
    """A remote that is away, that refuses, that was rewound; a connection that is cut; a signal."""
    ada, ben, place = cast.ada, cast.ben, recorder.place
    real, away = place / "remote.git", place / "away.git"
    real.rename(away)
    ada('send session-002 "later"')
    ada("heartbeat waiting person --json")
    ada("claim src/late.py")
    ada("claim src/late.py --json")
    ada("status --cached")
    ada("status")
    ada("sync")
    ada("doctor")
    away.rename(real)
    ada("sync --json")
    ada("doctor --json")
    hook = real / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'nobody pushes on a Monday' >&2\nexit 1\n")
    hook.chmod(0o755)
    ben("claim lock:f")
    ben("claim lock:f --json")
    ben('send session-001 "refused"')
    ben("doctor")
    hook.unlink()
    ben("sync")
    ben("doctor --fix")
    faulty = place / "faulty"
    faulty.mkdir()
    (faulty / "git").write_text(CUT_OFF.format(git=shutil.which("git"), place=place))
    (faulty / "git").chmod(0o755)
    path = {"PATH": f"{faulty}:{place}/venv/bin:/usr/bin:/bin"}
    ada("claim lock:g --op cut-1", **path)
    ada("claim lock:g --op cut-1 --json", **path)
    ada("claim lock:g --op cut-1 --json")
    ada("inbox")
    ada.run(["timeout", "--preserve-status", "-s", "INT", "3", "gitcoord", "listen", "--timeout", "60s"])
    tip = recorder.prepare("git", "--git-dir=remote.git", "rev-parse", "coordination").decode().strip()
    recorder.prepare("git", "--git-dir=remote.git", "update-ref", "refs/heads/coordination", f"{tip}~5")
    ada("status")
    ada("claim lock:h --json")
    ada("doctor")
    ada("verify")
    recorder.prepare("git", "--git-dir=remote.git", "update-ref", "refs/heads/coordination", tip)
    ada("doctor --fix")
    ada("claim lock:h")


def relaying(recorder: Recorder, cast: Cast) -> None:
    """What people write to a file reaches the sessions."""
    ada = cast.ada
    ada.write("../tmp/chat.txt", "")
    ada("relay --to nowhere --once")
    ada("relay --to https://127.0.0.1/hook --once")
    ada("relay --events nonsense --once")
    ada("relay --from-file ../tmp/chat.txt --once --json")
    ada.write("../tmp/chat.txt", "hello all\n@session-001 look at the build\n")
    ada("relay --from-file ../tmp/chat.txt --once")
    ada("inbox")
    ada("log --limit 4 --json")


def alone(recorder: Recorder) -> None:
    """A repository without a remote."""
    recorder.prepare("git", "init", "-q", "-b", "main", "solo")
    recorder.prepare("git", "commit", "-qm", "Begin", "--allow-empty", cwd="solo")
    solo = recorder.seat("solo", host="m1")
    solo("init --local")
    solo("start only --json")
    solo("claim a.txt")
    solo("status")
    solo("send broadcast 'is anybody here?'")
    solo("end --notes 'nobody was' --json")
    solo("verify --full")
    solo("doctor")
    recorder.branch("solo", "solo/.git")


def several_repositories(recorder: Recorder) -> None:
    """Two projects that share a hub."""
    recorder.prepare("git", "init", "-q", "--bare", "-b", "main", "hub.git")
    seats = []
    for name in ("app", "library"):
        recorder.prepare("git", "init", "-q", "--bare", "-b", "main", f"{name}.git")
        recorder.prepare("git", "clone", "-q", f"{name}.git", name)
        recorder.prepare("git", "commit", "-qm", f"Begin {name}", "--allow-empty", cwd=name)
        recorder.prepare("git", "push", "-q", "origin", "HEAD:main", cwd=name)
        seats.append(recorder.seat(name, host="m1"))
    app, library = seats
    hub = str(app.folder.parent / "hub.git")
    app(f"init --hub {hub}")
    library(f"init --hub {hub} --json")
    app("start anna")
    library("start lars --json")
    app("claim library//src/api.py deploy:production")
    library("claim src/api.py")
    library("claim deploy:production --json")
    library("send repo:app 'may we deploy?'")
    app("status")
    app("status --repo library")
    app("inbox")
    app("claims --json")
    app("end")
    library("doctor")
    recorder.branch("hub", "hub.git")


def taking_it_out(recorder: Recorder, cast: Cast) -> None:
    """All at once: put in, taken out. And the demo."""
    cleo = cast.cleo.like(CLAUDECODE="", CLAUDE_CODE_SESSION_ID="")
    cleo("install --dry-run --json")
    cleo("install")
    cleo("install --yes --guard --agent claude")
    cleo("install --yes --guard --agent claude --json")
    recorder.installed("everything", "cleo/.git/hooks", "cleo/.claude", "cleo")
    cleo("uninstall --dry-run")
    cleo("uninstall --yes")
    recorder.installed("everything-away", "cleo/.git/hooks", "cleo/.claude", "cleo")
    cast.ben("end --done 'the review' --notes 'all is well'")
    cast.ben("init --remove --json")
    cast.ada("release --all")
    cast.ada("end --json")
    cast.ada("")
    cast.ada("demo")
