"""The environment in which git runs: the user's own, narrowed, without what names a repository or asks on a terminal."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from gitcoord.errors import GitcoordError

# What `git rev-parse --local-env-vars` lists (git 2.55), and what a receiving hook adds: inside a hook these point
# at the user's repository, index or quarantine, whatever -C says.
_LOCAL = frozenset(
    [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_CONFIG",
        "GIT_CONFIG_PARAMETERS",
        "GIT_CONFIG_COUNT",
        "GIT_OBJECT_DIRECTORY",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_GRAFT_FILE",
        "GIT_INDEX_FILE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_COMMON_DIR",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REF_FORMAT",
        "GIT_NAMESPACE",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_EXTERNAL_DIFF",
        "GIT_DIFF_OPTS",
        "GIT_DEFAULT_HASH",
        "GIT_REFLOG_ACTION",
    ]
)


QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
"""What git tells a hook that is asked about a push: where its objects lie until they are accepted, and where all others do."""


_LOCAL_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_", "GIT_PUSH_OPTION_", "GIT_TRACE")


# Configuration in the environment that names a repository, or how one is laid out: never passed on.
_NAMES_ONE = re.compile(
    r"core\.(worktree|bare|repositoryformatversion)|extensions\..*|remote\..*\.(url|pushurl)|gitcoord\.hub", re.DOTALL
)


_QUOTED = r"'[^']*'(?:\\['!]'[^']*')*"  # as git quotes for a shell


_PARAMETER = re.compile(rf"\s*({_QUOTED})(=(?:{_QUOTED})?)?(?=\s|$)")


_COUNT_LIMIT = 10_000  # pairs in an environment


PROTOCOLS = ("file", "git", "http", "https", "ssh")
"""What git may be given at all."""


_SSH = "-oConnectTimeout=10 -oServerAliveInterval=5 -oServerAliveCountMax=3"


_SOCKET_PATH = 104  # bytes that a socket's path may have (BSD; Linux has 108)


_SOCKET_NAME = 62  # what ssh adds to the folder: "/ssh-", 40 letters for %C, and 17 while it makes the socket


def holds_sockets(folder: str) -> bool:
    """Whether the folder's path is short enough for the sockets of `keep_ssh_open`."""
    return len(os.fsencode(folder)) + _SOCKET_NAME <= _SOCKET_PATH


def keep_ssh_open(folder: str, seconds: int) -> str:
    """The options by which ssh keeps its connection for later calls, its socket in that folder."""
    return f"-oControlMaster=auto -oControlPersist={seconds} -oControlPath={shlex.quote(os.path.join(folder, 'ssh-%C'))}"


def branch_of(ref: str) -> str:
    """The branch that a full ref names; "" for any other ref."""
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""


def is_local(name: str) -> bool:
    """Whether the variable ties git to a repository that the caller stands in."""
    return name in _LOCAL or name.startswith(_LOCAL_PREFIXES)


def given_config(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The configuration that the environment gives to git (`GIT_CONFIG_COUNT`, `git -c`), but for what names a repository."""
    found = []
    count = environ.get("GIT_CONFIG_COUNT", "")
    for number in range(min(int(count), _COUNT_LIMIT) if re.fullmatch("[0-9]{1,9}", count, re.ASCII) else 0):
        key, value = environ.get(f"GIT_CONFIG_KEY_{number}"), environ.get(f"GIT_CONFIG_VALUE_{number}")
        if key and value is not None:
            found.append((key, value))
    for quoted, more in _PARAMETER.findall(environ.get("GIT_CONFIG_PARAMETERS", "")):
        key, equals, value = (_unquoted(quoted), more, _unquoted(more[1:])) if more else _unquoted(quoted).partition("=")
        found.append((key, value if equals and more != "=" else "true"))
    return [(key, value) for key, value in found if not _NAMES_ONE.fullmatch(_in_small_letters(key))]


def _unquoted(word: str) -> str:
    return "".join(shlex.split(word))


def _in_small_letters(key: str) -> str:
    """A key as `git config --list` shows it: what stands between its dots may be in capitals."""
    section, _, rest = key.partition(".")
    middle, dot, name = rest.rpartition(".")
    return f"{section.lower()}.{middle}{dot}{name.lower()}"


def with_config(env: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What to add to an environment, so that git also goes by that configuration; unlike by `-c`, a key may hold anything."""
    start = int(env.get("GIT_CONFIG_COUNT", "0"))
    added = {"GIT_CONFIG_COUNT": str(start + len(pairs))}
    for number, (key, value) in enumerate(pairs, start):
        added |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return added


def outside(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what ties git to a repository that the caller stands in."""
    kept = {name: value for name, value in environ.items() if not is_local(name)}
    config = given_config(environ)
    return {**kept, **with_config({}, config)} if config else kept


def protocols(environ: Mapping[str, str], config: Mapping[str, Sequence[str]]) -> list[str]:
    """The protocols of `PROTOCOLS` that the user's own settings allow, by git's rules."""
    if "GIT_ALLOW_PROTOCOL" in environ:
        return [name for name in PROTOCOLS if name in environ["GIT_ALLOW_PROTOCOL"].split(":")]
    asked_by_user = environ.get("GIT_PROTOCOL_FROM_USER", "1").lower() not in {"", "0", "false", "no", "off"}
    found = []
    for name in PROTOCOLS:
        usual = config.get("protocol.allow") or (["user"] if name == "file" else ["always"])
        policy = (config.get(f"protocol.{name}.allow") or usual)[-1].lower()
        if policy == "always" or (policy == "user" and asked_by_user):
            found.append(name)
    return found


def _askpass(environ: Mapping[str, str], config: Mapping[str, Sequence[str]]) -> bool:
    """True if a program of the user's answers when git wants a password."""
    named = environ["GIT_ASKPASS"] if "GIT_ASKPASS" in environ else (config.get("core.askpass") or [""])[-1]
    return bool(named or environ.get("SSH_ASKPASS"))


def _ssh(environ: Mapping[str, str], config: Mapping[str, Sequence[str]], options: str) -> Iterator[tuple[str, str]]:
    """The variable that gives ssh our options, where what the user has set takes any: it is added to, never put in its place."""
    command = environ.get("GIT_SSH_COMMAND") or (config.get("core.sshcommand") or [""])[-1]
    named = environ.get("GIT_SSH", "")
    if not command and named:
        command = shlex.quote(named)
    variant = (environ.get("GIT_SSH_VARIANT") or (config.get("ssh.variant") or ["auto"])[-1]).lower()
    if variant in {"plink", "putty", "tortoiseplink", "simple"}:
        return
    if variant == "auto" and command:  # as git does, but without asking the program whether it understands `-G`: git does that
        try:
            first = os.path.basename((shlex.split(command) or [""])[0])
        except ValueError:
            return
        if first not in {"ssh", "ssh.exe"}:
            return
    # In batch mode ssh asks nobody, not even a program that answers by itself.
    batch = [] if environ.get("SSH_ASKPASS") else ["-oBatchMode=yes"]
    yield "GIT_SSH_COMMAND", " ".join([command or "ssh", *batch, _SSH, options]).rstrip()


def clean_environment(
    environ: Mapping[str, str], config: Mapping[str, Sequence[str]] | None = None, ssh_options: str = ""
) -> dict[str, str]:
    """The environment for a git child. `config`: the user's configuration, for a child that may connect to somewhere."""
    config = config or {}
    env = outside(environ)
    env |= _ssh(environ, config, ssh_options)
    if not _askpass(environ, config):  # helpers open no window either
        env |= with_config(env, [("credential.interactive", "never")])
        env |= {"SSH_ASKPASS_REQUIRE": "never"}
    env |= {
        "PATH": safe_path(env.get("PATH", os.defpath)),
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
        "GIT_ALLOW_PROTOCOL": ":".join(protocols(environ, config)),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
        "LANGUAGE": "",
    }
    return env


def safe_path(path: str) -> str:
    """Return the entries of a PATH that don't depend on where one stands: an empty or relative one runs what a checkout holds."""
    return os.pathsep.join(filter(os.path.isabs, path.split(os.pathsep))) or os.defpath


def program(near: str = "") -> str:
    """Return the absolute path of git, never one that lies in the work tree around `near` ("": around this process's folder).

    Raises GitcoordError when there is none.
    """
    tree = _tree(near or _here())
    for folder in safe_path(os.environ.get("PATH", os.defpath)).split(os.pathsep):
        found = os.path.join(folder, "git")
        if os.access(found, os.X_OK) and os.path.isfile(found) and not f"{os.path.realpath(folder)}/".startswith(tree):
            return found
    raise GitcoordError("git is not installed, or not on PATH", hint="install git 2.31 or newer")


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return os.sep


def _tree(folder: str) -> str:
    """The folder around that one in which a `.git` lies, with a slash at its end; where there is none, one that holds nothing."""
    here = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(here, ".git")):
        above = os.path.dirname(here)
        if above == here:
            return os.devnull + os.sep
        here = above
    return here.rstrip(os.sep) + os.sep
