"""trust add | remove | list | import: whose signatures you believe, and for whom they speak."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gitcoord.cli.arguments import text_or_stdin
from gitcoord.cli.connect import answer, say
from gitcoord.core.names import show, word
from gitcoord.core.times import spell
from gitcoord.core.trust import TrustedKey, parse_line, parse_trust, quote_principals
from gitcoord.errors import BadInput
from gitcoord.machine.trusted import TrustFiles, read_own, trust_folder

app = typer.Typer(
    help="Whose signatures you believe, and for whom they speak: kept in your own configuration, never on the branch.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EXAMPLE = "for example: gitcoord trust add ada@example.com ~/.ssh/id_ed25519.pub"


def _kept() -> TrustFiles:
    return TrustFiles(trust_folder(os.environ))


@app.command()
def add(
    who: Annotated[str, typer.Argument(help="An e-mail address, session:NAME or role:NAME, with * and ?; several with commas.")],
    key: Annotated[
        str | None, typer.Argument(help="A public key of ssh, its file, or gpg:FINGERPRINT; none: one person's addresses.")
    ] = None,
    authority: Annotated[bool, typer.Option("--authority", help="The key certifies others' keys.")] = False,
) -> None:
    """Believe a key's signatures, for those whom it speaks for; without a key: several e-mail addresses are one person's."""
    kept = _kept()
    if key is None:
        addresses = quote_principals(who.split(","))
        if "," not in addresses or ":" in addresses:
            raise BadInput("without a key, name two or more e-mail addresses of one person", hint=_EXAMPLE)
        kept.change(lambda lines: [*lines, *([addresses] if addresses not in lines else [])], people=True)
        answer({"people": [addresses.split(",")]}, f"one person: {addresses.replace(',', ', ')}")
        return
    line = f"{quote_principals(who.split(','))} {'cert-authority ' if authority else ''}{_key(key)}"
    trusted = parse_line(line)
    _add(kept, [line])
    answer({"trusted": [_record(trusted)]}, f"trusted: {_words(trusted)}")


@app.command()
def remove(
    what: Annotated[str, typer.Argument(help="An address, session:NAME or role:NAME as it stands there, or a key's fingerprint.")],
) -> None:
    """Believe a key no more, or no more for somebody."""
    gone: list[str] = []

    def without(lines: list[str]) -> list[str]:
        left = []
        for line in lines:
            rest = _line_without(line, what)
            left += [rest] if rest else []
            gone.extend([line] if rest != line else [])
        return left

    def without_person(lines: list[str]) -> list[str]:
        gone.extend(line for line in lines if what in line.split(","))
        return [line for line in lines if what not in line.split(",")]

    kept = _kept()
    kept.change(without)
    kept.change(without_person, people=True)
    if not gone:
        raise BadInput(f"nothing that you trust is called {show(what, 100)!r}", hint="gitcoord trust list")
    answer({"removed": gone}, *(f"removed: {show(line, 200)}" for line in gone))


@app.command("list")
def list_() -> None:
    """Show whose signatures you believe."""
    kept = _kept()
    trust, faults = kept.read_with_faults()
    lines = [_words(one) for one in trust.keys] + [f"one person: {', '.join(sorted(person))}" for person in trust.people]
    for fault in faults:
        say(f"warning: {show(fault, 200)}")
    answer(
        {
            "trusted": [_record(one) for one in trust.keys], "people": [sorted(person) for person in trust.people],
            "faults": faults, "file": str(kept.signers),
        },
        *(lines or [f"nobody yet: {_EXAMPLE.removeprefix('for example: ')}"]),
    )  # fmt: skip


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="A file of allowed signers, as ssh and git have it.")],
) -> None:
    """Believe all keys of a file of allowed signers."""
    text = text_or_stdin("-") if source == "-" else _text(Path(source).expanduser())
    trust, faults = parse_trust(text)
    if not trust.keys:
        raise BadInput(f"no line of it is an allowed signer{f' ({faults[0]})' if faults else ''}", hint=_EXAMPLE)
    added = _add(_kept(), [one.line for one in trust.keys])
    for fault in faults:
        say(f"warning: {show(fault, 200)}; left out")
    answer(
        {"trusted": [_record(one) for one in trust.keys], "added": added, "faults": faults},
        *(f"trusted: {_words(one)}" for one in trust.keys), f"{added} new",
    )  # fmt: skip


def _add(kept: TrustFiles, new: list[str]) -> int:
    """Add those lines that are not there yet; return how many."""
    added: list[str] = []

    def change(lines: list[str]) -> list[str]:
        added[:] = [line for line in dict.fromkeys(new) if line not in lines]
        return [*lines, *added]

    kept.change(change)
    return len(added)


def _key(given: str) -> str:
    """Return the key that was given, as a line has it."""
    if given.startswith(("gpg:", "ssh-", "ecdsa-", "sk-")):
        return " ".join(given.split())
    text = _text(Path(given).expanduser())
    if "PRIVATE KEY" in text:
        raise BadInput(f"{given} is a private key, which is nobody's business", hint=f"its public half: {word(given)}.pub")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise BadInput(f"{given} holds {len(lines)} lines, and one public key is asked for", hint="gitcoord trust import FILE")
    return lines[0].strip()


def _text(path: Path) -> str:
    data = read_own(path)
    if data is None:
        raise BadInput(f"{path} is no file of keys that can be read", hint=_EXAMPLE)
    return data.decode("utf-8", "replace")


def _line_without(line: str, what: str) -> str:
    """Return the line without that principal; "" if nobody is left, or it is that key's."""
    try:
        trusted = parse_line(line)
    except BadInput:
        return line
    if what == trusted.key:
        return ""
    if what not in trusted.principals:
        return line
    left = [one for one in trusted.principals if one != what]
    rest = line.strip().removeprefix('"' + ",".join(trusted.principals) + '"').removeprefix(",".join(trusted.principals))
    return f"{','.join(left)}{rest}" if left else ""


def _record(one: TrustedKey) -> dict[str, Any]:
    return {
        "principals": list(one.principals), "key": one.key, "authority": one.authority,
        "valid_after": spell(one.since) if one.since else None, "valid_before": spell(one.until) if one.until else None,
    }  # fmt: skip


def _words(one: TrustedKey) -> str:
    when = [f"from {spell(one.since)}"] if one.since else []
    when += [f"until {spell(one.until)}"] if one.until else []
    kind = ["certifies others"] if one.authority else []
    extra = f" ({', '.join([*kind, *when])})" if kind or when else ""
    return f"{show(', '.join(one.principals), 200)}: {one.key}{extra}"
