"""Whether a service builds every branch that is pushed, and so this one with every event. Goes by what lies in the user's HEAD."""

from __future__ import annotations

from collections.abc import Iterator

from gitcoord.connection.connect import Connection
from gitcoord.setup.checks.finding import Finding

_FILES = ("vercel.json", "netlify.toml", "Jenkinsfile", ".github/workflows")


def look(found: Connection, *, skip_ci: bool) -> Iterator[Finding]:
    """What may build the branch, with the setting to change. `skip_ci`: its commits say `[skip ci]`."""
    there = {name.partition("/workflows/")[0] for name in found.repo.files_at_head(_FILES)}
    branch = found.settings.branch
    if "vercel.json" in there:
        yield Finding(
            "warning",
            f"Vercel builds every branch, and its vercel.json counts only on the branch that has it: {branch} would be deployed",
            f'in the project\'s settings, Git, Ignored Build Step, take this command: [ "$VERCEL_GIT_COMMIT_REF" = {branch} ]',
        )
    if "netlify.toml" in there and not skip_ci:
        yield Finding(
            "warning",
            f"Netlify builds {branch} if it deploys all branches, since this branch's commits don't say [skip ci]",
            "gitcoord config --shared skip_ci true",
        )
    elif "netlify.toml" in there:
        yield Finding("ok", "Netlify passes over commits that say [skip ci], as this branch's do")
    if "Jenkinsfile" in there:
        yield Finding(
            "ok",
            f"Jenkins builds the branches that have a Jenkinsfile, so not {branch}; where its job takes that from elsewhere, "
            f"leave {branch} out there (Filter by name, Exclude)",
        )
    if ".github" in there:
        yield Finding("ok", f"GitHub runs no workflow for {branch}: it runs those of the pushed branch, and there are none on it")
