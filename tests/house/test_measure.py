"""What `measure` counts, shown on a package of a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from measure import Package, back_up, components, longest_chain, main

FILES = {
    "__init__.py": "",
    "top.py": "import house.low.a\nfrom house.low import hearing\n\n\nclass Twice:\n    pass\n",
    "low/__init__.py": "",
    "low/a.py": "from __future__ import annotations\nTYPE = 1\nif TYPE:\n    from house.low.hearing import hear\n",
    "low/hearing.py": """\
class Twice:
    @classmethod
    def make(cls, other):
        new = cls()
        new.x, other.y = 1, 2
        return new

    def set(self):
        self.x = self.part.y = 3


def hear():
    from . import a

    return a
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "house"
    for name, text in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def test_imports_within_functions_and_for_types_make_circles(folder: Path) -> None:
    circles = [part for part in components(Package(folder).imports) if len(part) > 1]
    assert circles == [{"house.low.a", "house.low.hearing"}]


def test_a_module_at_the_root_and_each_folder_is_a_room(folder: Path) -> None:
    assert Package(folder).rooms == {"top": {"low"}, "low": set()}


def test_only_fields_of_other_objects_count(folder: Path) -> None:
    assert Package(folder).fields_set() == ["low/hearing.py:5 other.y", "low/hearing.py:9 self.part.y"]


def test_gerunds_and_names_that_exist_twice(folder: Path) -> None:
    package = Package(folder)
    assert package.gerunds() == ["house.low.hearing"]
    assert package.twice() == {"Twice": ["house.low.hearing", "house.top"]}


def test_inherited_methods_make_a_class_wide(folder: Path) -> None:
    def methods(letter: str) -> str:
        return "".join(f"    def {letter}{number}(self): ...\n" for number in range(21))

    (folder / "wide.py").write_text(f"class Base:\n{methods('a')}\nclass Wide(Base):\n{methods('_b')}")
    assert Package(folder).wide() == [("house.wide.Wide", 21, 42)]


def test_floors_and_arrows_back_up() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert longest_chain(graph) == ["a", "b = c", "d"]
    assert len(back_up(graph)) == 1


def test_it_prints_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    assert "rooms                                    2\n" in capsys.readouterr().out
