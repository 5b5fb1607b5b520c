"""Where both executables begin. Hooks take the short way: they pay for nothing that they don't use."""

import sys


def main() -> int:
    """Runs the program on the process's arguments; its exit code."""
    if sys.argv[1:2] == ["hook"]:
        try:
            from gitcoord.faces.hook import main as hook

            return hook(sys.argv[2:])
        except BaseException:  # a half-removed installation must not speak in the middle of somebody's `git commit`
            return 0
    from gitcoord.faces.cli.app import main as cli

    return cli(sys.argv[1:])
