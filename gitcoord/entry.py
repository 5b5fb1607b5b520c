"""Where both executables begin. Hooks take the short way: they pay for nothing that they don't use."""

import gc
import sys

_YOUNG = 50_000  # objects made before the collector looks: a command makes fewer, a long reading of history is still bounded


def main() -> int:
    """Runs the program on the process's arguments; its exit code."""
    if sys.argv[1:2] == ["hook"]:
        try:
            from gitcoord.faces.hook import main as hook

            return hook(sys.argv[2:])
        except BaseException:  # a half-removed installation must not speak in the middle of somebody's `git commit`
            return 0
    # The imports make a hundred thousand objects and no garbage. Looking for some, on the way in and once more on the way
    # out, took a fifth of a command's time.
    gc.disable()
    from gitcoord.faces.cli.app import main as cli

    gc.set_threshold(_YOUNG)
    gc.enable()
    try:
        return cli(sys.argv[1:])
    finally:
        gc.freeze()
