"""Our small files on this machine: the one way in which they are read, written, changed, taken, and added to.

Whatever stands in a file's place, no command fails for it for long: what is no file of ours, or holds something else than it
should, is set aside under another name, named once (`notices`), and made anew. Nothing waits for a pipe, and nothing goes
through a link. Loads the standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

_LARGEST = 1 << 26  # bytes of a file of ours that are read
_SUM = "sum"
_LOCK = "merge.lock"
_TRIES, _PAUSE = 1000, 0.002  # how often, and after how many seconds each time, a lock is asked for: two seconds in all
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM, errno.EISDIR})
_UNFIT = (TypeError, LookupError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What a `parse` may raise to say that a value is not what it should be."""

_noticed: list[str] = []


def as_it_is(value: Any) -> Any:
    """Return the value: a `parse` that takes everything."""
    return value


def mapping(value: Any) -> dict[str, Any]:
    """Return the JSON object. Raises TypeError for anything else."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object with a sum of all that is in it, for what must not be believed if anything changed it: see `unsealed`."""
    return {**value, _SUM: _sum(value)}


def unsealed(value: Any) -> dict[str, Any]:
    """Return what was sealed. Raises ValueError if it isn't what was written."""
    inside = {key: kept for key, kept in mapping(value).items() if key != _SUM}
    if value.get(_SUM) != _sum(inside):
        raise ValueError("its sum is another one")
    return inside


def _sum(value: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(value).encode())


def texts(value: Any) -> list[str]:
    """Return the list of texts. Raises TypeError for anything else."""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError("not a list of texts")
    return value


# --- reading -----------------------------------------------------------------------------------------------------------


def read(path: Path, parse: Callable[[Any], T]) -> T | None:
    """Return what `parse` makes of the JSON value in the file; None where there is no such file, or none that is fit."""
    data = read_bytes(path)
    if data is None:
        return None
    try:
        return parse(json.loads(data, parse_constant=_no_constant))
    except _UNFIT as error:
        set_aside(path, f"it holds something else than it should ({type(error).__name__})")
        return None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def read_json(path: Path) -> Any:
    """Return the JSON value in the file; None where there is no such file, or none that is fit."""
    return read(path, as_it_is)


def read_bytes(path: Path) -> bytes | None:
    """Return what is in the file; None where there is none, or something that is no plain file which this user can read.

    Raises OSError where the system fails: that says nothing about the file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _PLAIN)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        set_aside(path, error.strerror or "it can't be opened")
        return None
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST:
        with open(handle, "rb") as file:
            return file.read(_LARGEST)
    os.close(handle)
    set_aside(path, "it is too large" if stat.S_ISREG(status.st_mode) else "it is no file")
    return None


# --- writing -----------------------------------------------------------------------------------------------------------


def write(path: Path, data: bytes, *, durable: bool = False, mode: int = 0o600, keep_mode: bool = False) -> None:
    """Write aside, then rename: a reader sees the old file or the new one. `durable` survives a power cut; `keep_mode`: the file
    gets the mode that it had. Raises OSError.
    """
    aside = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            if keep_mode:
                with suppress(FileNotFoundError):
                    os.fchmod(handle, stat.S_IMODE(path.stat().st_mode))
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any, *, durable: bool = False, keep_mode: bool = False) -> None:
    """Write a value as JSON. A folder in the file's place is set aside. Raises OSError."""
    data = json.dumps(value, ensure_ascii=True).encode()
    try:
        write(path, data, durable=durable, keep_mode=keep_mode)
    except IsADirectoryError:
        set_aside(path, "it is a folder")
        write(path, data, durable=durable)


def touch(path: Path) -> None:
    """Make an empty file, or give the one that is there the time of now. Raises OSError."""
    handle = _open_to_write(path)
    try:
        os.utime(handle)
    finally:
        os.close(handle)


def append(path: Path, data: bytes, *, limit: int) -> None:
    """Add lines to the end of a list. Once it is longer than `limit` bytes, its older half goes. Raises OSError.

    One process at a time adds: none takes another's lines away.
    """
    with locked(path.parent):
        handle = _open_to_write(path, os.O_APPEND)
        try:
            while data:
                data = data[os.write(handle, data) :]
            size = os.fstat(handle).st_size
        finally:
            os.close(handle)
        if size > limit:
            kept = (read_bytes(path) or b"")[-limit // 2 :]
            write(path, kept.partition(b"\n")[2] or kept)


def open_log(path: Path) -> IO[bytes]:
    """Open a log for a process of ours to write to. Raises OSError."""
    return os.fdopen(_open_to_write(path, os.O_APPEND), "ab")


def _open_to_write(path: Path, flags: int = 0) -> int:
    for last in (False, True):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | _PLAIN | flags, 0o600)
        except OSError as error:
            if last or error.errno not in _NO_FILE:
                raise
            set_aside(path, error.strerror or "it can't be opened")
            continue
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        set_aside(path, "it is no file")
    raise PermissionError(errno.EPERM, "it is no file", str(path))


# --- one at a time -----------------------------------------------------------------------------------------------------


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing files of that folder meanwhile. It is a lock for moments and must not be taken twice;
    a process that is stopped while it has it holds the others up for two seconds, and no longer.
    """
    import fcntl  # here: most hooks only read

    handle = -1
    with suppress(OSError):
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | _PLAIN, 0o600)
    try:
        for _ in range(_TRIES if handle >= 0 else 0):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        if handle >= 0:
            os.close(handle)


@contextmanager
def turn(lock: Path, waits: Callable[[], object], *, patience: float = 30.0) -> Iterator[None]:
    """Do something long while no other process does it. `waits` is called again and again while another one has its turn; once it
    has returned the same for `patience` seconds, that one counts as stopped and is waited for no longer.
    """
    import fcntl

    handle = _open_to_write(lock)
    try:
        last, since = waits(), time.monotonic()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.1)
            except OSError:  # a file system without locks
                break
            if (now := waits()) != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                break
        yield
    finally:
        os.close(handle)


def is_taken(lock: Path) -> bool:
    """Return True if a process has its turn by that lock."""
    import fcntl

    handle = _open_to_write(lock)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False


def update(path: Path, parse: Callable[[Any], T], change: Callable[[T | None], Any], *, durable: bool = False) -> None:
    """Change the value in the file: one process at a time reads, changes and writes it, so that none loses what another wrote.

    `change` gets what `parse` made of the value (None: there is none) and returns the new one; None takes the file away.
    It must not change another file of the same folder this way. Raises OSError.
    """
    with locked(path.parent):
        new = change(read(path, parse))
        if new is None:
            path.unlink(missing_ok=True)
        else:
            write_json(path, new, durable=durable)


def take_turn(stamp: Path, seconds: float) -> bool:
    """Return True if nobody took this turn in that many seconds: of several processes that ask at once, one is told so. Raises
    OSError.
    """
    with locked(stamp.parent):
        with suppress(FileNotFoundError):
            if 0 <= time.time() - os.lstat(stamp).st_mtime < seconds:
                return False
        touch(stamp)
        return True


@contextmanager
def lock_seen(path: str) -> Iterator[Callable[[], bool]]:
    """Yield what tells whether another process has the lock on that file, as far as one system call tells that takes nothing away
    from anybody: asking for the lock itself costs a hundred times as much. False where that can't be told.
    """
    try:
        import fcntl

        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (ImportError, OSError):
        yield lambda: False
        return

    def is_locked() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        fcntl.flock(handle, fcntl.LOCK_UN)
        return False

    try:
        yield is_locked
    finally:
        os.close(handle)


def take(path: Path) -> Path | None:
    """Return the file under a name of this process's own; None when there is none, or another was faster. What nobody deals with
    after that is swept away.
    """
    mine = path.with_name(f".hand-{os.getpid()}-{os.urandom(4).hex()}-{path.name}")
    try:
        os.rename(path, mine)
    except OSError:
        return None
    with suppress(OSError):
        os.utime(mine)  # from here on it is in hand
    return mine


def take_json(path: Path, parse: Callable[[Any], T]) -> T | None:
    """Return what `parse` makes of the value in the file, which is gone then: of several that ask, one gets it."""
    mine = take(path)
    if mine is None:
        return None
    found = read(mine, parse)
    mine.unlink(missing_ok=True)
    return found


# --- what is in the way ------------------------------------------------------------------------------------------------


def set_aside(path: Path, why: str) -> None:
    """Give what stands there another name, if that can be done, and notice it: a new file can be made then."""
    kept = path.with_name(f"{path.name}.damaged-{os.urandom(4).hex()}")
    try:
        os.rename(path, kept)
        text = f"{path} was set aside as {kept.name}: {why}"
    except FileNotFoundError:
        return  # another process has just done it
    except OSError:
        text = f"{path} can't be used: {why}"
    if text not in _noticed:
        _noticed.append(text)


def notices() -> list[str]:
    """Return what was set aside since the last call, in words."""
    found = list(_noticed)
    del _noticed[: len(found)]
    return found


def sweep(folder: Path, *, before: float) -> None:
    """Take away what writers that were killed left beside their files, below `folder`, if it is older than `before`."""
    for path in folder.rglob(".*"):
        with suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but so many of the folder's JSON files, the newest ones by their time."""
    for path in sorted(folder.glob("*.json"), key=_changed)[:-count]:
        path.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # another process took it away just now
        return 0.0


# --- folders -----------------------------------------------------------------------------------------------------------


def own(git_dir: str | Path) -> Path:
    """Return our folder in that git folder. Two users of one clone have one each; what another user left is not looked into."""
    for name in ("gitcoord", f"gitcoord-{os.geteuid()}"):
        folder = Path(git_dir) / name
        try:
            status = os.lstat(folder)
        except OSError:
            return folder  # there is none yet
        if status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode):
            return folder
    return Path(os.devnull) / "gitcoord"  # nothing can be read or made there


def private_folder(path: Path) -> Path:
    """Return the folder, made for this user alone. A file in its place is set aside. Raises OSError when it can't be made, or is
    another's.
    """
    for level in (*reversed(path.parents), path):  # mkdir(parents=True) would give the mode to the last one only
        if not level.exists():
            level.mkdir(mode=0o700, exist_ok=True)
    status = os.lstat(path)
    if status.st_uid != os.geteuid() or stat.S_ISLNK(status.st_mode):
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(path))
    if not stat.S_ISDIR(status.st_mode):
        set_aside(path, "it is no folder")
        path.mkdir(mode=0o700, exist_ok=True)
    return path
