"""Changing a JSON text in places: what is meant changes, and every other byte stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitcoord.agents.settings import jsontext
from gitcoord.agents.settings.jsontext import NotPlain, Path

TEXTS = {
    "two blanks": '{\n  "a": {\n    "b": [\n      1\n    ]\n  },\n  "z": true\n}\n',
    "four blanks, no last newline": '{\n    "a": {\n        "b": [\n            {"x":   1}\n        ]\n    }\n}',
    "tabs": '{\n\t"a": {\n\t\t"b": [1, 2]\n\t},\n\t"z": "é"\n}\n',
    "one line": '{"a": {"b": [1]}, "z": 1.50}',
    "odd blanks": ' \n{ "z" :\t[ ] ,\n\n"a":{"b":[\n\n"x" ]}} \n\n',
    "crlf": '{\r\n  "a": {\r\n    "b": [\r\n      1\r\n    ]\r\n  }\r\n}\r\n',
    "nothing": "{}\n",
    "escapes": '{\n  "\\u0061": {"b": ["\\u00e9\\/"]},\n  "z\\"]}": "}{"\n}\n',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
@pytest.mark.parametrize("path", [("a", "b"), ("new",), ("a", "c"), ("p", "q", "r")])
def test_an_element_goes_in_at_the_end_and_comes_out_without_a_trace(text: str, path: Path) -> None:
    there = len(jsontext.elements(text, path))
    new, made = jsontext.append(text, path, {"k": ["v", {}]})
    expected = json.loads(text)
    holder = expected
    for key in path[:-1]:
        holder = holder.setdefault(key, {})
    holder.setdefault(path[-1], []).append({"k": ["v", {}]})
    assert json.loads(new) == expected
    assert list(json.loads(new)) == list(expected)

    back = jsontext.drop(new, path, there)
    for one in reversed(made):
        back = jsontext.drop(back, one[:-1], str(one[-1]))
    assert back == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_what_others_wrote_stays_as_it_was(text: str) -> None:
    new, _ = jsontext.append(text, ("n", "m"), 1)
    head = text.rstrip()[:-1].rstrip()  # all up to the last brace
    assert new.startswith(head)
    assert new[len(new.rstrip()) :] == text[len(text.rstrip()) :]


def test_it_is_laid_out_as_its_neighbours_are() -> None:
    new, _ = jsontext.append(TEXTS["tabs"], ("hooks", "Stop"), {"c": 1})
    added = ',\n\t"hooks": {\n\t\t"Stop": [\n\t\t\t{\n\t\t\t\t"c": 1\n\t\t\t}\n\t\t]\n\t}'
    assert new == TEXTS["tabs"].removesuffix("\n}\n") + added + "\n}\n"
    new, _ = jsontext.append(TEXTS["crlf"], ("a", "b"), {"c": 1})
    assert new == '{\r\n  "a": {\r\n    "b": [\r\n      1,\r\n      {\r\n        "c": 1\r\n      }\r\n    ]\r\n  }\r\n}\r\n'
    assert jsontext.append('{"a": [1]}', ("a",), {"c": "é"})[0] == '{"a": [1, {"c": "é"}]}'


def test_members_and_elements_come_out_from_anywhere() -> None:
    text = '{\n  "a": [\n    1,\n    2,\n    3\n  ],\n  "b": {},\n  "c": 0\n}\n'
    assert jsontext.drop(text, ("a",), 0) == text.replace("1,\n    ", "")
    assert jsontext.drop(text, ("a",), 1) == text.replace("2,\n    ", "")
    assert jsontext.drop(text, ("a",), 2) == text.replace(",\n    3", "")
    assert jsontext.drop(text, (), "b") == text.replace('"b": {},\n  ', "")
    assert jsontext.drop(text, (), "c") == text.replace(',\n  "c": 0', "")
    assert jsontext.drop('{"g": [{"hooks": [1, 2]}]}', ("g", 0, "hooks"), 1) == '{"g": [{"hooks": [1]}]}'


@pytest.mark.parametrize(
    "text",
    [
        '{\n  // why\n  "a": []\n}', '{"a": [1,]}', "{'a': 1}", '{"a": []', "", "\ufeff{}", "[" * 100_000, '{"a": [], "a": []}',
        '{"a": {}}', '{"a": 1}', '{"a": null}', "[]", '"x"', "1",
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(NotPlain):
        jsontext.append(text, ("a",), 1)


def test_a_member_goes_in_once() -> None:
    assert jsontext.put("{}", ("version",), 1) == ('{\n  "version": 1\n}', [("version",)])
    assert jsontext.get('{"v": {"w": [1, 2]}}', ("v", "w", 1)) == 2
    assert jsontext.get('{"v": {"w": [1, 2]}}', ("v", "w", 7)) is None
    assert jsontext.get("{}", ("v", "w")) is None
    with pytest.raises(NotPlain):
        jsontext.get('{"v": 1}', ("v", "w"))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    value=st.dictionaries(st.sampled_from(["a", "b", 'c"', "{"]), _VALUES, max_size=4),
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    path=st.lists(st.sampled_from(["a", "b", "hooks"]), min_size=1, max_size=3).map(tuple),
)
def test_any_text_gets_what_is_meant_or_is_refused(value: dict[str, Any], indent: Any, path: Path) -> None:
    text = json.dumps(value, indent=indent)
    try:
        new, made = jsontext.append(text, path, "ours")
    except NotPlain:
        return
    assert jsontext.get(new, path)[-1] == "ours"
    back = jsontext.drop(new, path, len(jsontext.get(new, path)) - 1)
    for one in reversed(made):
        back = jsontext.drop(back, one[:-1], str(one[-1]))
    assert back == text
