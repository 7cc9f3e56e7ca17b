"""The names ECMAScript uses: what it binds itself is not among them."""

import pytest

from vxml_engine.check.references import names_of_expression, names_of_program, possible_texts


def used(source: str) -> list[str]:
    return [use.name for use in names_of_program(source).uses]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a + b.c[d]", ["a", "b", "d"]),
        ("f(a, 'b', /c/)", ["f", "a"]),
        ("`x${a}y`", ["a"]),
        ("({a, b: c, [d]: 1, e() { return f; }})", ["a", "c", "d", "f"]),
        ("new A(b).c", ["A", "b"]),
        ("undefined, this, null, true, NaN", ["NaN"]),
        ("var a = b", ["b"]),
        ("var {a, b: c = d, ...e} = f; a + c + e", ["d", "f"]),
        ("var [a, [b]] = c; a + b", ["c"]),
        ("a; var a", []),
        ("f(); function f() {}", []),
        ("if (1) { function f() {} } f()", []),
        ("{ let a; } a", ["a"]),
        ("let a; { a; }", []),
        ("for (let i = 0; i < n; i++) i; i", ["n", "i"]),
        ("for (var k in o) k; k", ["o"]),
        ("for (k of o) ;", ["k", "o"]),
        ("function f(a, {b}, c = d, ...e) { return a + b + c + e + g; }", ["d", "g"]),
        ("(function g() { return g + arguments.length; })", []),
        ("() => arguments", ["arguments"]),
        ("a => a + b", ["b"]),
        ("class A extends B { m(c) { return A + c; } static d = e }", ["B", "e"]),
        ("(class A {}); A", ["A"]),
        ("try { a } catch (e) { e } e", ["a", "e"]),
        ("function f() { try {} catch (e) { var x; } return x; }", []),
        ("x: while (1) { break x; }", []),
        ("switch (a) { case b: let c; c; }", ["a", "b"]),
    ],
)
def test_names(source: str, names: list[str]) -> None:
    assert used(source) == names


def test_how_a_name_is_used() -> None:
    by_name = {
        use.name: use
        for use in names_of_program(
            "a = 1; b++; c += 1; typeof d; typeof (e); try { f } catch (_) {} try { g } finally {}"
            " h.i; j.k = 1; [l, m.n] = o; function p() { q }"
        ).uses
    }
    assert [name for name, use in by_name.items() if use.writes] == ["a", "b", "c", "l"]
    assert [name for name, use in by_name.items() if use.guarded] == ["d", "e", "f"]
    assert {name: use.member for name, use in by_name.items() if use.member} == {
        "h": "i",
        "j": "k",
        "m": "n",
    }
    assert [name for name, use in by_name.items() if use.sets] == ["j", "m"]
    assert [name for name, use in by_name.items() if use.deferred] == ["q"]


def test_what_a_program_declares() -> None:
    program = (
        "var a, {b} = {}; function c() { var no; } for (var d in {}) { var e; } let f; class G {}"
    )
    assert names_of_program(program).declared == {"a", "b", "c", "d", "e"}


@pytest.mark.parametrize(
    "source", ["eval('var a')", "with (a) b", "var = 1", "f(function () { eval('') })"]
)
def test_what_cannot_be_told_is_opaque(source: str) -> None:
    names = names_of_program(source)
    assert names.opaque
    assert names.uses == ()


def test_places_count_characters() -> None:
    assert [(use.name, use.index) for use in names_of_expression("'grüße' + ß + a").uses] == [
        ("ß", 10),
        ("a", 14),
    ]


def test_deep_syntax_is_no_failure() -> None:
    deep = 20_000
    assert used("[" * deep + "a" + "]" * deep) == ["a"]


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("'#a'", ("#a",)),
        ('("#a")', ("#a",)),
        ("x ? '#a' : y ? '#b' : '#c'", ("#a", "#b", "#c")),
        ("'#' + x", None),
        ("x", None),
        ("x ? '#a' : y", None),
        ("'a\\u0020b'", None),
        ("'", None),
    ],
)
def test_the_texts_an_expression_may_be(source: str, texts: tuple[str, ...] | None) -> None:
    found = possible_texts(source)
    assert (None if found is None else tuple(sorted(found))) == texts
