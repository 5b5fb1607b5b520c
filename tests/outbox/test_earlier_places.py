"""The name of an outbox changes with the machine, the e-mail, the way to the remote: what waits is sent all the same."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from clones import Seat
from remotes import Remote, RemoteFactory

from gitcoord.connection.collect import collect
from gitcoord.connection.connect import connect
from gitcoord.errors import GitcoordError
from gitcoord.setup.init import check_removal

CHANGES: dict[str, Callable[[Seat, pytest.MonkeyPatch], object]] = {
    "host": lambda _, patch: patch.setattr(socket, "gethostname", lambda: "mac.office"),
    "e-mail": lambda ada, _: ada.git("config", "user.email", "other@example.org"),
    "ssh": lambda ada, _: ada.extra.update(GIT_SSH_COMMAND="ssh -4"),
    "http header": lambda ada, _: ada.git("config", "http.extraHeader", "X-A: b"),
    "credentials": lambda ada, _: ada.git("config", "credential.helper", "cache"),
    "spelling": lambda ada, _: ada.git("config", "remote.origin.url", "file://" + ada.git("config", "remote.origin.url")),
    "place": lambda ada, _: setattr(ada, "outbox", ada.outbox.parent / "another"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_waits_on_an_earlier_outbox_is_told_and_sent(
    change: str, pair: tuple[Seat, Seat], file_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = pair
    file_remote.away()
    with ada.here() as found:
        found.coordinator.messages.send("ben", "are you there?", "")
        before = found.outbox
        before.leave_note("ada", "a note")
    file_remote.back()
    CHANGES[change](ada, monkeypatch)
    with ada.here() as found:
        assert found.outbox.path != before.path
        assert [text for text in found.left_behind() if "1 unsent" in text]
        with pytest.raises(GitcoordError, match="unsent"):
            check_removal(found)
        assert found.outbox.take_notes("ada") == ["a note"]
        found.coordinator.branch.view()
        assert [binding.outbox for binding in found.coordinator.parts.identity.all()] == [str(found.outbox.path)]
        assert collect(found.elsewhere, lambda path: connect(str(ada.path), ada.env, at=path)) == []
        assert found.left_behind() == []
    with ben.here() as found:
        assert [message.subject for message in found.coordinator.messages.inbox().found] == ["are you there?"]


def test_what_waits_for_another_remote_is_told_and_not_sent(
    pair: tuple[Seat, Seat], file_remote: Remote, remotes: RemoteFactory
) -> None:
    ada, ben = pair
    file_remote.away()
    ada.ok("send", "ben", "hi")
    file_remote.back()
    ada.git("remote", "add", "other", remotes.make("file").url)
    ada.ok("init", "--remote", "other")
    assert "1 unsent for another remote or branch" in ada.run("sync").err
    ada.ok("config", "remote", "origin")
    assert "unsent" not in ada.run("sync").err
    assert [message["subject"] for message in ben.ok("inbox")["messages"]] == ["hi"]
