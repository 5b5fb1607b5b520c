"""Plays a session of 200 commands with the real program and records every byte of it, to compare two states of the code.

    python tests/house/record_session.py --bin .venv/bin --out /tmp/before
    python tests/house/record_session.py --bin .venv/bin --out /tmp/after
    python tests/house/record_session.py --compare /tmp/before /tmp/after

What is recorded: of each command the arguments, standard output, standard error and exit code; at the end the whole history of each
coordination branch (every commit, tree and blob, and plain git's log), and every file that the program installed. The story itself
is in `recorded_story`.

Two recordings of the same code are the same, byte for byte. Everything happens in one folder that has the same path each time.
libfaketime stands still at an instant that the story chooses for each command; `frozen` makes random bytes depend on the command's
number, and fixes the machine's name, the boot and the times of files. What a command leaves in the background begins when the
command is over; the script waits for its end, and gives new files the time of that command. What still
differs is masked: see `MASKS`.

It knows nothing of how the code is laid out: it runs the installed program only. Nothing here asserts what the program should do.
"""

from __future__ import annotations

import argparse
import difflib
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PLACE = Path("/tmp/gitcoord-recording")  # the paths of a recording stand in its outputs: they must be the same each time
LOCK = ".lock"
GITCONFIG = """\
[user]
\tname = Test Person
\temail = test@example.org
[init]
\tdefaultBranch = main
[protocol "file"]
\tallow = always
[gc]
\tauto = 0
[maintenance]
\tauto = false
[advice]
\tdetachedHead = false
"""
START = datetime(2025, 3, 3, 9, 0, 0, tzinfo=UTC)
STEP = timedelta(seconds=20)  # between two commands: longer than one background process keeps the next one waiting
PATIENCE = 120.0  # seconds: only a hang gets there
SHOWN = 5  # differences that --compare prints

MASKS: tuple[tuple[str, bytes, bytes], ...] = (
    ("a process's number: the system chooses it", rb"\bpid \d+", b"pid <pid>"),
    (
        "the demo keeps what freezes a process from its own, so the commit of its code has a real time, and its event another name",
        rb"\b[0-9a-f]{7}( ben: heartbeat: ben committed)",
        rb"<commit>\1",
    ),
)
"""What can't be frozen: why, what it looks like, and what is written in its place."""


@dataclass(frozen=True)
class Result:
    """What came of a command."""

    out: bytes
    err: bytes
    code: int

    def value(self, key: str) -> str:
        """Return the first value of this key in the JSON on standard output (or "0"): a later command may need it."""
        match = re.search(rb'"%s": "?([^",}\]]+)' % key.encode(), self.out)
        return match[1].decode() if match else "0"

    @property
    def seq(self) -> str:
        """The event's number."""
        return self.value("seq")


@dataclass(frozen=True)
class Seat:
    """Where commands are typed: a folder on a machine, with the variables that stand in its environment."""

    recorder: Recorder
    folder: Path
    host: str
    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, line: str, stdin: str | bytes = b"", **environ: str) -> Result:
        """Records `gitcoord` with the words of a line, split as a shell splits them."""
        return self.run(["gitcoord", *shlex.split(line)], stdin, environ)

    def git(self, line: str, **environ: str) -> Result:
        """Records a plain git command."""
        return self.run(["git", *shlex.split(line)], b"", environ)

    def shell(self, line: str, **environ: str) -> Result:
        """Records a line of a shell."""
        return self.run(["sh", "-c", line], b"", environ)

    def payload(self, agent: str, body: Mapping[str, Any], **environ: str) -> Result:
        """Records `gitcoord hook`, fed with an agent's payload."""
        return self.run(["gitcoord", "hook", *(["--agent", agent] if agent else [])], json.dumps(body), environ)

    def run(self, argv: Sequence[str], stdin: str | bytes = b"", environ: Mapping[str, str] = {}) -> Result:
        """Records any command."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        return self.recorder.record(replace(self, environ={**self.environ, **environ}), argv, data)

    def talk(self, argv: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> Result:
        """Records a server that is told one JSON object a line: the next one when the last one is answered."""
        return self.recorder.record(self, argv, b"", lines)

    def within(self, folder: str) -> Seat:
        """Return the same seat in a folder below this one."""
        return replace(self, folder=self.folder / folder)

    def like(self, **environ: str) -> Seat:
        """Return the same seat with more variables."""
        return replace(self, environ={**self.environ, **environ})

    def write(self, path: str, text: str) -> None:
        """Writes a file; not recorded."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


class Recorder:
    """Runs commands in the sealed place, and writes down what came of them."""

    def __init__(self, out: Path, *, python: Path, script: str, code: Sequence[Path]) -> None:
        self.out, self.place, self.now, self.number = out, PLACE, START, 0
        self.codes: dict[int, int] = {}
        self.begun = time.time()
        self._make_place(python, script, code)
        self._masks = [(re.compile(pattern), into) for _, pattern, into in MASKS]
        self._masks += [(re.compile(re.escape(os.fsencode(path))), b"<code>") for path in code]
        self._library = find_library()

    @staticmethod
    def _make_place(python: Path, script: str, code: Sequence[Path]) -> None:
        _empty()
        for name in ("home", "tmp", "turns"):
            (PLACE / name).mkdir(parents=True)
        (PLACE / "home" / "gitconfig").write_text(GITCONFIG)
        subprocess.run([str(python), "-m", "venv", "--without-pip", str(PLACE / "venv")], check=True)
        [packages] = (PLACE / "venv").glob("lib/python*/site-packages")
        shutil.copy(HERE / "frozen.py", packages / "recording_frozen.py")
        (packages / "_a.pth").write_text("import recording_frozen\n")
        for path in sorted(code[-1].iterdir()):  # as installed here, or the program wouldn't take it for a part of itself
            (packages / path.name).symlink_to(path)
        for path in _packages(python, code):  # the doctor says how many modules aren't compiled
            subprocess.run([str(python), "-m", "compileall", "-q", str(path)], check=False, stdout=subprocess.DEVNULL)
        (packages / "_b.pth").write_text("".join(f"{path}\n" for path in code[:-1]))
        for name in ("gitcoord", "git-coord"):
            program = PLACE / "venv" / "bin" / name
            program.write_text(f"#!{PLACE}/venv/bin/python\n{script}")
            program.chmod(0o755)

    def close(self) -> None:
        """Takes all away that is in the sealed place, and what killed processes left of libfaketime's shared memory."""
        _empty()
        for path in Path("/dev/shm").glob("*faketime_*"):
            with suppress(OSError):
                is_ours = path.stat().st_uid == os.getuid() and path.stat().st_mtime >= self.begun
                if is_ours and not Path("/proc", path.name.rpartition("_")[2]).exists():
                    path.unlink()

    # --- seats ---------------------------------------------------------------------------------------------------------

    def seat(self, folder: str, *, host: str, **environ: str) -> Seat:
        """Return a seat in a folder of the sealed place; each machine has a state folder of its own."""
        return Seat(self, PLACE / folder, host, environ)

    def later(self, **span: float) -> None:
        """Moves the clock on."""
        self.now += timedelta(**span)

    def prepare(self, *argv: str, cwd: str = "", environ: Mapping[str, str] = {}) -> bytes:
        """Runs what isn't recorded, at the same instant; it must succeed."""
        seat = Seat(self, PLACE / cwd, "m1", environ)
        done = subprocess.run(list(argv), cwd=seat.folder, env=self._environ(seat), stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{argv} failed: {done.stderr.decode()}")
        self._settle()
        return done.stdout

    def _environ(self, seat: Seat) -> dict[str, str]:
        wrong = int(seat.environ.get("CLOCK_AHEAD", "0"))  # seconds that this command's own clock is wrong by
        now, home = self.now + timedelta(seconds=wrong), PLACE / "home"
        return {
            "PATH": f"{PLACE}/venv/bin:{os.path.dirname(shutil.which('git') or '')}:/usr/bin:/bin",
            "HOME": str(home),
            "XDG_STATE_HOME": str(PLACE / "state" / seat.host),
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "TMPDIR": str(PLACE / "tmp"),
            "USER": "tester", "LOGNAME": "tester", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "COLUMNS": "100",
            "LD_PRELOAD": self._library,
            "FAKETIME": f"{now:%Y-%m-%d %H:%M:%S}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
            "RECORD_COMMAND": str(self.number),
            "RECORD_NOW": str(int(now.timestamp())),
            "RECORD_TRUE": str(int(self.now.timestamp())),
            "RECORD_PLACE": str(PLACE),
            "RECORD_HOST": seat.host,
            **{name: value for name, value in seat.environ.items() if name != "CLOCK_AHEAD"},
        }  # fmt: skip

    # --- recording -----------------------------------------------------------------------------------------------------

    def record(self, seat: Seat, argv: Sequence[str], stdin: bytes, lines: Sequence[Mapping[str, Any]] = ()) -> Result:
        """Runs a command to its end, and that of all it leaves behind, and writes it down."""
        self.number += 1
        self.now += STEP
        with subprocess.Popen(
            list(argv), cwd=seat.folder, env=self._environ(seat),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as child:  # fmt: skip
            heard = b"".join(_talk(child, lines)) if lines else b""
            out, err = child.communicate(stdin or None, timeout=PATIENCE)
        result = Result(heard + out, err, child.returncode)
        self._settle()
        self.codes[result.code] = self.codes.get(result.code, 0) + 1
        parts: list[tuple[str, bytes]] = [
            ("clock", f"{self.now:%Y-%m-%d %H:%M:%S}".encode()),
            ("where", f"{seat.host}:{seat.folder.relative_to(PLACE)}".encode()),
            ("variables", " ".join(f"{name}={value}" for name, value in sorted(seat.environ.items())).encode()),
            ("argv", shlex.join(argv).encode()),
            *([("stdin", stdin or "\n".join(map(json.dumps, lines)).encode())] if stdin or lines else []),
            ("exit code", str(result.code).encode()),
            ("stdout", result.out),
            ("stderr", result.err),
        ]
        self.write(f"commands/{self.number:03}", b"".join(b"--- %s\n%s\n" % (name.encode(), text) for name, text in parts))
        return result

    def write(self, name: str, data: bytes) -> None:
        """Writes a part of the recording, masked."""
        for pattern, into in self._masks:
            data = pattern.sub(into, data)
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _settle(self) -> None:
        """Waits for processes in the background, then gives what was written the time of the command."""
        (PLACE / "turns" / f"over-{self.number}").touch()  # what waits in the background may begin
        end = time.monotonic() + PATIENCE
        while left := _at_work():
            if time.monotonic() > end:
                raise SystemExit(f"command {self.number} left processes behind: {left}")
            time.sleep(0.02)
        _date(PLACE, self.now.timestamp())

    def branch(self, name: str, repository: str, ref: str = "refs/heads/coordination") -> None:
        """Writes down a branch's whole history, as bytes and as plain git shows it."""

        def git(*words: str, stdin: bytes = b"") -> bytes:
            argv = ["git", f"--git-dir={PLACE / repository}", *words]
            return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout

        commits = git("rev-list", "--reverse", ref)
        trees = b"".join(b"%s\n%s\n" % (commit, git("ls-tree", "-rt", commit.decode())) for commit in commits.split())
        every = sorted(line.split()[0] for line in git("rev-list", "--objects", ref).splitlines())
        self.write(f"branches/{name}.commits", commits)
        self.write(f"branches/{name}.log", git("log", "--reverse", "--stat", "--format=fuller", ref))
        self.write(f"branches/{name}.messages", git("cat-file", "--batch", stdin=commits))
        self.write(f"branches/{name}.trees", trees)
        self.write(f"branches/{name}.objects", git("cat-file", "--batch", stdin=b"\n".join(every) + b"\n"))

    def installed(self, name: str, *places: str) -> None:
        """Writes down files, with their modes, below folders of the sealed place."""
        for place in places:
            top = PLACE / place
            for path in sorted([top, *top.rglob("*")]):
                if path.is_symlink() or not path.is_file() or ".git" in path.relative_to(top).parts:
                    continue
                mode = f"mode {path.stat().st_mode & 0o777:03o}\n".encode()
                self.write(f"installed/{name}/{path.relative_to(PLACE)}", mode + path.read_bytes())


def _talk(child: subprocess.Popen[bytes], lines: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Tells each object to the server; yields what it says, up to the answer to the last one."""
    assert child.stdin is not None
    assert child.stdout is not None
    for said in lines:
        child.stdin.write(json.dumps(said).encode() + b"\n")
        child.stdin.flush()
        while "id" in said:
            line = child.stdout.readline()
            yield line
            if not line or json.loads(line).get("id") == said["id"]:
                break


def _empty() -> None:
    for path in PLACE.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _at_work() -> list[str]:
    """The processes that belong to the recording: they all inherit its variables."""
    mark, left = f"RECORD_PLACE={PLACE}".encode(), []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    left.append(f"{entry.name} {Path(entry.path, 'cmdline').read_bytes()!r}")
    return left


def _date(folder: Path, instant: float) -> None:
    """Gives everything there that was written just now the time of the command."""
    real = START.timestamp() + 86400 * 100
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.name in {"objects", "venv", "turns"}:
                continue
            if entry.is_dir(follow_symlinks=False):
                _date(Path(entry.path), instant)
            if entry.stat(follow_symlinks=False).st_mtime > real:
                os.utime(entry.path, (instant, instant), follow_symlinks=False)
        if folder.stat().st_mtime > real:
            os.utime(folder, (instant, instant))


def _packages(python: Path, code: Sequence[Path]) -> list[Path]:
    """Where the program's own modules lie."""
    ask = "import importlib.util, site, sys; [site.addsitedir(p) for p in sys.argv[1:]]; "
    ask += "print(importlib.util.find_spec('gitcoord').origin)"
    done = subprocess.run([str(python), "-I", "-c", ask, *map(str, code)], capture_output=True, text=True, check=True)
    return [Path(done.stdout.strip()).parent]


# --- comparing -------------------------------------------------------------------------------------------------------------


def compare(old: Path, new: Path) -> int:
    """Prints the first differences between two recordings; returns 1 if there are any."""
    names = [{str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()} for top in (old, new)]
    if not names[0] or not names[1]:
        raise SystemExit("there is no recording in one of these folders")
    different = [name for name in sorted(names[0] | names[1]) if not _is_same(old / name, new / name)]
    order = ("commands", "installed", "branches")
    different.sort(key=lambda name: (order.index(name.partition("/")[0]) if name.partition("/")[0] in order else 9, name))
    for name in different[:SHOWN]:
        print(f"=== {name}")
        lines = difflib.unified_diff(_lines(old / name), _lines(new / name), "old", "new", lineterm="", n=2)
        for number, line in enumerate(lines):
            if number > 40:
                print("…")
                break
            print(line[:300])
    both = len(names[0] | names[1])
    print(f"{len(different)} of {both} files differ" if different else f"the same: {both} files")
    return 1 if different else 0


def _is_same(old: Path, new: Path) -> bool:
    return old.is_file() and new.is_file() and old.read_bytes() == new.read_bytes()


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return ["(there is no such file)"]
    return path.read_bytes().decode("utf-8", "backslashreplace").splitlines()


# --- what is recorded ------------------------------------------------------------------------------------------------------


def find_library() -> str:
    """Return where libfaketime lies."""
    program = Path(shutil.which("faketime") or "/usr/bin/faketime")
    for folder in ("lib", "lib64"):
        for path in sorted((program.resolve().parent.parent / folder).glob("**/libfaketime.so.1")):
            return str(path)
    raise SystemExit("libfaketime is not installed: see the packages in .ci/run")


def find_program(folder: Path, package: Path | None) -> tuple[Path, str, list[Path]]:
    """Return the Python, the text of the program's script, and where Python finds the code, for a folder with `gitcoord` in it."""
    python, program = folder / "python", folder / "gitcoord"
    script = program.read_text().partition("\n")[2] if program.exists() else ""
    if not python.exists():
        python = Path(program.read_text().partition("\n")[0].removeprefix("#!"))
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    library = subprocess.run([str(python), "-I", "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    code = [Path(library)]
    if package is not None:
        code.insert(0, package.resolve())
    settings = (package or Path("/nowhere")) / "pyproject.toml"
    if settings.exists():
        module, _, function = tomllib.loads(settings.read_text())["project"]["scripts"]["gitcoord"].partition(":")
        script = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
    if not script:
        raise SystemExit(f"there is no gitcoord in {folder}")
    return python, script, code


@contextmanager
def alone() -> Iterator[None]:
    """Only one recording at a time: they share the place."""
    PLACE.mkdir(exist_ok=True)
    with open(PLACE / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"another recording is being made in {PLACE}") from None
        yield


def main() -> int:
    """Records, or compares two recordings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bin", type=Path, metavar="FOLDER", help="where the program is installed: a virtual environment's bin")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the recording goes; it must not exist, or is replaced")
    parser.add_argument("--package", type=Path, metavar="FOLDER", help="another copy of the code, which is used in its place")
    parser.add_argument("--keep", action="store_true", help="leave the sealed place as it is at the end")
    parser.add_argument(
        "--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two recordings; exit 1 if they differ"
    )
    given = parser.parse_args()
    if given.compare:
        return compare(*given.compare)
    if not given.bin or not given.out:
        parser.error("--bin and --out are needed")
    from recorded_story import play

    if given.out.exists():
        if any(given.out.iterdir()) and not (given.out / "commands").is_dir():
            raise SystemExit(f"{given.out} is no recording: nothing was done")
        shutil.rmtree(given.out)
    python, script, code = find_program(given.bin.absolute(), given.package)
    begun = time.monotonic()
    with alone():
        recorder = Recorder(given.out, python=python, script=script, code=code)
        play(recorder)
        if not given.keep:
            recorder.close()
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(recorder.codes.items()))
    print(f"{recorder.number} commands in {time.monotonic() - begun:.0f} s; exit codes {codes}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
