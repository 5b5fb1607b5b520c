"""Real remotes for tests: a folder, and an sshd, a web server and a git daemon on loopback, all without a password.

Each server runs once per test session (so once per pytest-xdist worker), as the user who runs the tests, and serves
all bare repositories of one folder. Between a client and a server stands a forwarder, one per `Remote`, so that a test
can take away or silence its own remote and no other.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from environment import seal
from gits import git

KINDS = ("file", "ssh", "http", "git")
LOOPBACK = "127.0.0.1"

FIRST_COMMIT = """\
commit refs/heads/main
committer Test Person <test@example.org> 1704067200 +0000
data 15
First of them.

M 100644 inline README
data 14
A repository.

"""


def create_bare(path: Path, *, empty: bool = False, env: Mapping[str, str] | None = None) -> Path:
    """Makes a bare repository with one commit on main (always the same oid), or with none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    git(path.parent, "init", "--quiet", "--bare", "-b", "main", "--template=", str(path), env=env)
    with (path / "config").open("a") as config:
        config.write("[receive]\n\tautogc = false\n")  # a process for each push, which finds nothing to do
    (path / "hooks").mkdir()  # the empty template has none, and tests put hooks there
    if not empty:
        git(path, "fast-import", "--quiet", stdin=FIRST_COMMIT, env=env)
    return path


@cache
def program(name: str) -> str | None:
    """The full path of a program, or None; servers live in sbin, which an ordinary user's PATH leaves out."""
    places = [os.environ.get("PATH", os.defpath), "/usr/local/sbin:/usr/sbin:/sbin", git(Path(), "--exec-path")]
    return shutil.which(name, path=os.pathsep.join(places))


def needed(name: str) -> str:
    """The full path of a program that `available` has seen."""
    found = program(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


# --- processes and ports ---------------------------------------------------------------------------------------------


def living() -> dict[int, int]:
    """Every process of the machine that has not ended, with its parent."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:  # just gone
            continue
        if state not in "ZX":  # ended, but in a container perhaps nobody collects it
            parents[int(entry.name)] = int(parent)
    return parents


def family(pid: int) -> set[int]:
    """The process and all its descendants that have not ended."""
    parents = living()
    found = {pid} & parents.keys()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def hold_port() -> socket.socket:
    """Reserves a free loopback port: bound, never listening, so connections are refused and nobody else gets it.

    With SO_REUSEADDR on both sides Linux lets another socket bind the same port and listen on it: a server started
    later, or a forwarder that comes back.
    """
    hold = socket.socket()
    hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    hold.bind((LOOPBACK, 0))
    return hold


def port_of(sock: socket.socket) -> int:
    """The port a socket is bound to."""
    return int(sock.getsockname()[1])


def answers(port: int) -> bool:
    """True when something accepts connections on the port."""
    try:
        socket.create_connection((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


# The watcher dies with the group it kills. It ends the server even when the tests were killed and could clean up
# nothing: the kernel then closes the pipe it reads from. It takes the pipe as 3, for sh gives `&` an empty stdin.
WATCHED = 'exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & exec "$@" </dev/null 3<&-'


class Process:
    """One server process in the foreground, leader of its own session and process group."""

    def __init__(self, command: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> None:
        self._log = folder / f"{Path(command[0]).name}.log"
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                ["sh", "-c", WATCHED, "watched", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(env),
                start_new_session=True,
            )

    def pids(self) -> set[int]:
        """All processes of this server that live now, those of open connections too."""
        return family(self._popen.pid)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Returns when the server can be used. Counts instead of reading a clock: a test may have frozen it."""
        for _ in range(2000):
            if self._popen.poll() is not None:
                break
            if ready():
                return
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"server doesn't start: {self._popen.args!r}\n{self._log.read_text(errors='replace')}")

    def stop(self) -> None:
        """Kills the group, and what left it: sshd makes a session of its own for every connection."""
        strays = self.pids() if self._popen.poll() is None else set()
        for kill, target in [(os.killpg, self._popen.pid), *((os.kill, pid) for pid in strays)]:
            with contextlib.suppress(ProcessLookupError):
                kill(target, signal.SIGKILL)
        self._popen.wait()
        if self._popen.stdin:
            self._popen.stdin.close()
        for _ in range(500):  # a kill takes effect a little later
            if not strays & living().keys():
                break
            time.sleep(0.01)


# --- the forwarder ---------------------------------------------------------------------------------------------------


class Forwarder:
    """A loopback port that passes connections on to a server's port, refuses them, or takes them and is silent.

    Plain threads and blocking sockets, no event loop: those ask for the time, and a test may have frozen it.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._target = (LOOPBACK, target)
        self._hold = hold_port()
        self.port = port_of(self._hold)
        self._lock = threading.Lock()
        self._silent = False
        self.taken = 0
        """Connections that were made so far."""
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.accept()

    def accept(self) -> None:
        """Passes connections on. A connection that met silence is cut: its bytes are lost, it can't be mended."""
        with self._lock:
            if self._silent:
                self._cut()
            self._silent = False
            self._listen()

    def refuse(self) -> None:
        """Refuses new connections and cuts the open ones."""
        with self._lock:
            if self._listener is not None:
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept; it closes
                self._listener = None
            self._cut()

    def silence(self) -> None:
        """Takes connections and swallows every byte, also of the open ones, in both directions."""
        with self._lock:
            self._silent = True
            self._listen()

    def close(self) -> None:
        """Refuses for ever and gives the port back."""
        self.refuse()
        self._hold.close()

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self.port))
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._take, args=(listener,), daemon=True, name=f"take-{self.port}").start()

    def _cut(self) -> None:
        for sock in self._open:
            cut(sock)
        self._open.clear()  # a connection that isn't in here may carry nothing any more

    def _take(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    if self._listener is listener:
                        continue  # that one client gave up
                    return
                with self._lock:
                    current = self._listener is listener
                    if current:
                        self.taken += 1
                        self._open.add(client)
                if current:
                    threading.Thread(target=self._serve, args=(client,), daemon=True, name="serve").start()
                else:
                    client.close()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        try:
            server = socket.create_connection(self._target)
            with self._lock:
                if client not in self._open:
                    return  # cut meanwhile
                self._open.add(server)
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pump, args=(server, client, client), daemon=True, name="pump")
            back.start()
            self._pump(client, server, client)
            back.join()
        except OSError:
            cut(client)
        finally:
            with self._lock:
                self._open -= {client, server}
            client.close()
            if server is not None:
                server.close()

    def _pump(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        """Carries one direction to its end. In silence it reads on, and the client hears nothing, no end either."""
        try:
            while data := source.recv(65536):
                if not self._silent:
                    sink.sendall(data)
            if not self._silent:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (source, sink):
                if not (self._silent and sock is client):
                    cut(sock)


def cut(sock: socket.socket) -> None:
    """Ends a connection. Its thread wakes up and closes the socket: closing it here could hit a new one's number."""
    with contextlib.suppress(OSError):  # it has ended already
        sock.shutdown(socket.SHUT_RDWR)


# --- the servers -----------------------------------------------------------------------------------------------------


class Server:
    """What all kinds have in common: programs, processes, one port, and how a client names a repository."""

    programs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, bares: Path, env: Mapping[str, str]) -> None:
        self.folder, self.bares, self.env = folder, bares, env
        self.config: dict[str, str] = {}
        self.processes: list[Process] = []
        folder.mkdir(mode=0o700)
        self._hold = hold_port()
        self.port = port_of(self._hold)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @classmethod
    def missing(cls) -> str | None:
        """The reason why this kind can't run here, or None."""
        if not sys.platform.startswith("linux"):
            return "the test servers are written for Linux"
        missing = [name for name in cls.programs if program(name) is None]
        return f"missing program: {', '.join(missing)}" if missing else None

    def start(self) -> None:
        """Starts the processes and returns when they answer."""
        raise NotImplementedError

    def url(self, port: int, bare: Path) -> str:
        """The address of a repository behind a forwarder's port."""
        raise NotImplementedError

    def run(self, *command: str) -> Process:
        """Starts one process of this server."""
        process = Process(command, folder=self.folder, env=self.env)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """Ends all processes of this server."""
        while self.processes:
            self.processes.pop().stop()
        self._hold.close()


class GitServer(Server):
    """`git daemon`, with pushing allowed."""

    programs = ("git-daemon",)

    def start(self) -> None:
        """Runs git-daemon itself, not `git daemon`: that would be a second process around it."""
        self.run(
            needed("git-daemon"),
            "--reuseaddr",
            f"--listen={LOOPBACK}",
            f"--port={self.port}",
            f"--base-path={self.bares}",
            "--export-all",
            "--enable=receive-pack",
            "--allow-override=receive-pack",
            "--informative-errors",
            "--max-connections=0",
            str(self.bares),
        ).wait_until(lambda: answers(self.port))

    def url(self, port: int, bare: Path) -> str:
        """git:// with the path below the folder served."""
        return f"git://{LOOPBACK}:{port}/{bare.name}"


class HttpServer(Server):
    """nginx and git-http-backend, with fcgiwrap between them; everybody may push."""

    programs = ("nginx", "fcgiwrap", "git-http-backend")

    def start(self) -> None:
        """Keeps all of nginx's files in the folder; a temp path can be set only for a module that was compiled in."""
        self.config["http.proxy"] = ""  # an http_proxy of the machine must not see loopback
        nginx = needed("nginx")
        built = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr
        modules = [name for name in ("proxy", "uwsgi", "scgi") if f"--without-http_{name}_module" not in built]
        conf = self.folder / "nginx.conf"
        conf.write_text(
            f"""\
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
master_process off;
pid "{self.folder}/nginx.pid";
error_log stderr;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path "{self.folder}/body";
  fastcgi_temp_path "{self.folder}/fastcgi";
  {"".join(f'{name}_temp_path "{self.folder}/{name}";' for name in modules)}
  server {{
    listen {LOOPBACK}:{self.port};
    location / {{
      fastcgi_pass unix:fcgi.sock;
      fastcgi_read_timeout 600s;
      fastcgi_param SCRIPT_FILENAME "{needed("git-http-backend")}";
      fastcgi_param GIT_PROJECT_ROOT "{self.bares}";
      fastcgi_param GIT_HTTP_EXPORT_ALL "";
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
      fastcgi_param REMOTE_USER tester;
      fastcgi_param REMOTE_ADDR $remote_addr;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
    }}
  }}
}}
""",
            encoding="utf-8",
        )
        # A relative name, resolved in the folder both run in: a socket's path may have 107 bytes at most.
        fcgi = self.run(needed("fcgiwrap"), "-f", "-c", "8", "-s", "unix:fcgi.sock")
        fcgi.wait_until((self.folder / "fcgi.sock").exists)
        self.run(nginx, "-p", str(self.folder), "-c", str(conf)).wait_until(lambda: answers(self.port))

    def url(self, port: int, bare: Path) -> str:
        """http:// with the path below the folder served."""
        return f"http://{LOOPBACK}:{port}/{bare.name}"


class SshServer(Server):
    """An sshd of our own, with throw-away keys.

    A client needs the throw-away user key and must trust the throw-away host key. Both stand in an ssh config file, and
    `config` names it in `core.sshCommand`: git config, so that it lives in a clone and needs no GIT_SSH_COMMAND.
    """

    programs = ("sshd", "ssh", "ssh-keygen")

    @classmethod
    def missing(cls) -> str | None:
        """sshd lets in only a user whom the machine knows by name, and runs that user's login shell."""
        try:
            shell = pwd.getpwuid(os.geteuid()).pw_shell
        except KeyError:
            return "missing passwd entry for the user who runs the tests"
        if Path(shell).name in {"nologin", "false"}:
            return "missing login shell for the user who runs the tests"
        return super().missing()

    def start(self) -> None:
        """Writes keys and both configs, then runs sshd in the foreground."""
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        sshd = needed("sshd")
        for key in ("host", "user"):
            self._make_key(key)
        (self.folder / "user.pub").rename(self.folder / "authorized")
        host_key = (self.folder / "host.pub").read_text(encoding="utf-8")
        (self.folder / "known_hosts").write_text(f"gitcoord-tests {host_key}", encoding="utf-8")
        # curve25519: the default key exchange costs a connection 60 ms more.
        (self.folder / "client").write_text(
            f"""\
HostKeyAlias gitcoord-tests
UserKnownHostsFile "{self.folder}/known_hosts"
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
IdentityFile "{self.folder}/user"
IdentitiesOnly yes
IdentityAgent none
PreferredAuthentications publickey
BatchMode yes
KexAlgorithms curve25519-sha256
LogLevel ERROR
""",
            encoding="utf-8",
        )
        self.config["core.sshCommand"] = f"ssh -F {shlex.quote(str(self.folder / 'client'))}"
        conf = self.folder / "sshd_config"
        text = f"""\
ListenAddress {LOOPBACK}:{self.port}
HostKey "{self.folder}/host"
PidFile "{self.folder}/sshd.pid"
AuthorizedKeysFile "{self.folder}/authorized"
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
MaxStartups 500
AcceptEnv GIT_PROTOCOL
SetEnv {self._environment()}
"""
        conf.write_text(text, encoding="utf-8")
        if os.geteuid() == 0:
            # Where sshd locks up its helper process; Debian makes it only when the service starts.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        effective = subprocess.run([sshd, "-T", "-f", str(conf)], capture_output=True, text=True, check=False).stdout
        if "persourcepenalties" in effective:
            # Since OpenSSH 9.8: cut connections would get all of loopback locked out.
            conf.write_text(f"PerSourcePenalties no\n{text}", encoding="utf-8")
        self.run(sshd, "-D", "-e", "-f", str(conf)).wait_until(lambda: answers(self.port))

    def url(self, port: int, bare: Path) -> str:
        """ssh:// with the absolute path."""
        return f"ssh://{self.user}@{LOOPBACK}:{port}{bare}"

    def _make_key(self, name: str) -> None:
        command = [needed("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "gitcoord-tests", "-f", name]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def _environment(self) -> str:
        """sshd starts sessions with a fresh environment and the user's real HOME: this seals the git in them too."""
        names = ("HOME", "PATH", "LC_ALL", "TZ", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
        return " ".join(f'"{name}={self.env[name]}"' for name in names if name in self.env)


SERVERS: dict[str, type[Server]] = {"ssh": SshServer, "http": HttpServer, "git": GitServer}


# --- what tests use --------------------------------------------------------------------------------------------------


@dataclass
class Remote:
    """One bare repository and the way a client gets there.

    `path` is the repository on disk, for looking and for damage. `config` are the git config entries a clone needs to
    reach it; `flags` are the same for a git command line.
    """

    kind: str
    url: str
    path: Path
    config: dict[str, str] = field(default_factory=dict)
    forwarder: Forwarder | None = field(default=None, repr=False, compare=False)

    @property
    def flags(self) -> list[str]:
        """The config as `-c name=value` arguments, for `git -c ... ls-remote` and `git clone -c ...`."""
        return [part for name, value in self.config.items() for part in ("-c", f"{name}={value}")]

    @property
    def _hidden(self) -> Path:
        return self.path.with_name(f"{self.path.name}.away")

    def away(self) -> None:
        """The server refuses connections and cuts the open ones; of kind file: the folder is renamed away."""
        if self.forwarder is not None:
            self.forwarder.refuse()
        elif self.path.exists():
            self.path.rename(self._hidden)

    def back(self) -> None:
        """All is well again, after `away` or `silent`."""
        if self.forwarder is not None:
            self.forwarder.accept()
        elif self._hidden.exists():
            self._hidden.rename(self.path)

    def silent(self) -> None:
        """The server accepts connections and never says a word; open ones fall silent too."""
        if self.forwarder is None:
            raise NotImplementedError("a folder can't be silent")
        self.forwarder.silence()

    def close(self) -> None:
        """Gives back port and threads; the repository stays until the session ends."""
        if self.forwarder is not None:
            self.forwarder.close()


class RemoteFactory:
    """Makes remotes, and starts each kind's server when the first remote of that kind is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bares = folder / "bare"
        self._bares.mkdir(parents=True)
        self._env = seal(os.environ, folder / "home")
        self._servers: dict[str, Server] = {}
        self._remotes: list[Remote] = []
        self._lock = threading.Lock()  # two threads of one test may ask at the same time
        atexit.register(self.close)

    def available(self, kind: str) -> str | None:
        """None when the kind can run here, else the reason for skipping."""
        return None if kind == "file" else SERVERS[kind].missing()

    def make(self, kind: str, name: str | None = None, empty: bool = False) -> Remote:
        """Makes a bare repository with one commit on main (`empty`: with none) that is reached the `kind` way."""
        with self._lock:
            bare = self._bares / f"{name or f'{kind}-{len(self._remotes)}'}.git"
            if bare.exists():
                raise FileExistsError(bare)
            create_bare(bare, empty=empty, env=self._env)
            if kind == "file":
                remote = Remote(kind, str(bare), bare)
            else:
                server = self._server(kind)
                forwarder = Forwarder(server.port)
                remote = Remote(kind, server.url(forwarder.port, bare), bare, dict(server.config), forwarder)
            self._remotes.append(remote)
            return remote

    def pids(self) -> set[int]:
        """All server processes that live now."""
        return {pid for server in self._servers.values() for process in server.processes for pid in process.pids()}

    def close(self) -> None:
        """Ends everything that was started; may run twice (fixture and atexit)."""
        atexit.unregister(self.close)
        # Servers first: a cut connection ends its sshd child, and what that had started is then nobody's child.
        stop_all([*(server.stop for server in self._servers.values()), *(remote.close for remote in self._remotes)])

    def _server(self, kind: str) -> Server:
        if kind not in self._servers:
            self._servers[kind] = SERVERS[kind](self.folder / kind, self._bares, self._env)
        return self._servers[kind]


def stop_all(stops: Iterable[Callable[[], None]]) -> None:
    """Calls all of them, also when one fails: no failure may leave a server behind."""
    failures: list[Exception] = []
    for stop in stops:
        try:
            stop()
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
