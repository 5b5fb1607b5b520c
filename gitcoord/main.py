"""Where both executables begin. Hooks take the short way: they pay for nothing that they don't use."""

import gc
import os
import sys

TYPE_CHECKING = False  # `typing`'s own, without loading it: a hook that has nothing to do ends before that
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_YOUNG = 50_000  # objects made before the collector looks: a command makes fewer, a long reading of history is still bounded


def _leave_the_checkout() -> None:
    """Takes away where Python would look for modules in the work tree that this process stands in, as an empty entry of PYTHONPATH
    has it: what lies there belongs to whoever wrote the checkout.
    """
    try:
        here = tree = os.getcwd()
    except OSError:
        return
    while not os.path.lexists(os.path.join(tree, ".git")):
        if os.path.dirname(tree) == tree:
            tree = here  # in no checkout: then what lies above belongs to the machine, Python's own places too
            break
        tree = os.path.dirname(tree)
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [
        place
        for place in sys.path
        if place == own
        or place.startswith((sys.prefix, sys.base_prefix))
        or (os.path.isabs(place) and (tree == "/" or not f"{place}/".startswith(f"{tree}/")))
    ]


def main() -> int:
    """Runs the program on the process's arguments; its exit code."""
    _leave_the_checkout()
    if sys.argv[1:2] == ["hook"] and sys.argv[2:3] != ["git"] and _has_nothing_to_say():
        return 0
    warm = _warm()
    code: int | None = warm.hand_over(sys.argv, os.environ) if warm else None
    if code is not None:
        return code
    try:
        return by_itself()
    finally:
        if warm:
            warm.wish(sys.argv, os.environ)


def _warm() -> "ModuleType | None":
    """Return the command's side of the warm process; None in a half-removed installation, where a hook must stay silent."""
    try:
        from gitcoord.warm import client
    except Exception:
        return None
    return client


def _has_nothing_to_say() -> bool:
    """Do the step of an agent for which little need be loaded, and return True; what was read for that can be read again."""
    try:
        from gitcoord.agents.hook.main import is_nothing_to_say

        return is_nothing_to_say(sys.argv[2:], os.environ)
    except Exception:
        return False  # any doubt: the long way


def keep_warm() -> None:
    """Be the process from which commands are forked; ends the process."""
    _leave_the_checkout()
    from gitcoord.warm.server import serve

    try:
        serve(load, by_itself)
    finally:
        os._exit(0)


def load() -> None:
    """Load all that a command or a hook may need."""
    _without_plugins()
    import gitcoord.agents.hook.answer
    import gitcoord.agents.hook.main
    import gitcoord.githooks.run
    import gitcoord.guard.fast
    import gitcoord.setup.doctor
    import gitcoord.statusline.main  # noqa: F401  # to have them loaded
    from gitcoord.cli.app import load_all

    load_all()


def _without_plugins() -> None:
    """Have pydantic look for no plugins of its own. It would read what every installed package says of itself, which takes 25 ms,
    and load whatever calls itself one into this program.

    Its loader is a private module of pydantic's: another version that wants more of it than today's gets the real one.
    """
    name = "pydantic.plugin._loader"
    loader = type(sys)(name)

    def real(wanted: str) -> object:
        if wanted.startswith("__"):  # Python itself asks whether it is a package
            raise AttributeError(wanted)
        import importlib

        if sys.modules.get(name) is loader:
            del sys.modules[name]
        return getattr(importlib.import_module(name), wanted)

    loader.__dict__.update(get_plugins=tuple, __getattr__=real)
    sys.modules.setdefault(name, loader)


def by_itself() -> int:
    """Carry out the command line in this process; return its exit code."""
    _without_plugins()
    if sys.argv[1:2] == ["hook"]:
        try:
            if "".join(sys.argv[2:3]) == "git":
                from gitcoord.githooks.run import main as hook

                return hook(sys.argv[2:])
            from gitcoord.agents.hook.main import main as agents

            return agents(sys.argv[2:], os.environ)
        except BaseException:  # a half-removed installation must not speak in the middle of somebody's `git commit`
            return 0
    if sys.argv[1:] == ["serve-policy", "check"]:  # a server's hook asks: whatever fails here, a push is not allowed by it
        gc.disable()
        from gitcoord.policy.receive import main as receive

        return receive(os.environ)
    if sys.argv[1:] == ["statusline"]:
        try:
            return _glance("")
        except Exception:
            return 0  # as above: a prompt is shown all the same
    if sys.argv[1:2] == ["guard"] and os.environ.get("GITCOORD") != "0" and _is_plainly_allowed():
        return 0
    # The imports make a hundred thousand objects and no garbage. Looking for some, on the way in and once more on the way
    # out, took a fifth of a command's time.
    gc.disable()
    from gitcoord.cli.output import install

    install()
    from gitcoord.cli.app import main as cli

    gc.set_threshold(_YOUNG)
    gc.enable()
    try:
        return cli(sys.argv[1:], _serve, _glance)
    finally:
        gc.freeze()


def _is_plainly_allowed() -> bool:
    try:
        from gitcoord.guard.fast import is_allowed

        return is_allowed(sys.argv[2:], os.environ)
    except Exception:
        return False  # any doubt: the whole program looks


def _glance(path: str, *, as_json: bool = False) -> int:
    """Shows what was last known of the session that sits in that folder ("": this one)."""
    from gitcoord.statusline.main import main as statusline

    return statusline(path, as_json=as_json)


def _serve(path: str, session: str | None, seconds: float, say: "Callable[[str], None]") -> int:
    """Serves an agent. Raises ImportError where what that needs isn't installed."""
    from gitcoord.mcp.server import serve

    return serve(path, session, seconds, say)
