"""Bytes to text, as Python reads them, and what is too new for the Python that grades."""

from __future__ import annotations

import ast
import codecs
import sys
from pathlib import Path

import pytest

from grader.classes.decoding import Undecodable, decode, newer_syntax
from grader.classes.ingest import read_submission

TEXT = "name = 'é'\nb = 2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_what_has_a_mark_or_is_utf8(encoding: str, ends: str) -> None:
    assert decode(TEXT.replace("\n", ends).encode(encoding)) == TEXT


@pytest.mark.parametrize(("mark", "encoding"), [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
                                                (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")])  # fmt: skip
def test_both_orders_of_bytes(mark: bytes, encoding: str) -> None:
    assert decode(mark + TEXT.encode(encoding)) == TEXT
    assert decode(TEXT.encode(encoding)) == TEXT
    assert decode(mark) == ""


@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "iso-8859-15", "koi8-r", "shift_jis", "gbk", "mac_roman", "utf-7", "utf-8"]
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "head", ["# -*- coding: {} -*-\n", "#!/usr/bin/python\n# vim: set fileencoding={} :\n", "\n# coding={}\n"]
)
def test_a_declared_encoding(encoding: str, ends: str, head: str) -> None:
    word = {"koi8-r": "привет", "shift_jis": "日本", "gbk": "中文"}.get(encoding, "é")
    text = f"{head.format(encoding)}word = '{word}'\n"
    assert decode(text.replace("\n", ends).encode(encoding)) == text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("s = 'é'".encode("latin-1"), "is not UTF-8 text: save it as UTF-8"),
        (b"x = 1\n" * 10 + "s = 'é'".encode("latin-1"), "is not UTF-8 text: save it as UTF-8"),
        ("# coding: ascii\ns = 'é'".encode(), "is not ascii text"),
        (b"# coding: klingon\nx = 1", "declares an encoding that Python does not know"),
        (b"# coding: rot13\nk = 1", "declares rot13, which is no encoding of text"),
        (b"# coding: punycode\nk = 1" + b"-" * 1000, "declares the encoding punycode"),
        (b"# coding: undefined\nk = 1", "declares the encoding undefined"),
        (b"x = 1\0\n", "contains null bytes"),
        (b"x\0 \0=\0\0\0", "contains null bytes"),
        (b"x\0y\0\0\xdc", "contains null bytes"),
        (codecs.BOM_UTF16_LE + b"x", "is not utf-16 text"),
        (codecs.BOM_UTF16_LE + b"\0\0x\0", "contains null bytes"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "contains null bytes"),
        (b"# coding: utf-7\nx = '+2AA-'", "is not utf-7 text"),
        (codecs.BOM_UTF8 + b"# coding: latin-1\ns = '\xe9'", "declares another encoding than its byte-order mark"),
    ],
)  # fmt: skip
def test_what_is_no_text_says_why(data: bytes, words: str) -> None:
    with pytest.raises(Undecodable, match=words) as caught:
        decode(data)
    assert str(caught.value).endswith("UTF-8") or str(caught.value).endswith("UTF-8 text")


def test_encodings_of_a_submission(tmp_path: Path) -> None:
    contents = {
        "gaussians": "# coding: latin-1\ns = '\xe9'\n".encode("latin-1"),
        "pca": b"\xef\xbb\xbfa = 1\r\nb = 2\r\n",
        "vae": TEXT.encode("utf-16"),
        "prior": "s = '\xe9'".encode("latin-1"),
        "vqvae": b"a = 1\0",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.py").write_bytes(content)
    found = read_submission(tmp_path, tuple(contents))
    assert found.sources == {"gaussians": "# coding: latin-1\ns = '\xe9'\n", "pca": "a = 1\nb = 2\n", "vae": TEXT}
    assert found.problems == (
        "prior.py is not UTF-8 text and was not read: save it as UTF-8",
        "vqvae.py contains null bytes and was not read: no Python file does, save it as UTF-8 text",
    )


def test_a_declaration_does_not_confuse_what_is_text_already() -> None:
    """The worker compiles the text, in which a declared encoding has no more meaning."""
    text = decode("# coding: latin-1\ns = 'é'\n".encode("latin-1"))
    names: dict[str, object] = {}
    exec(compile(text, "vae.py", "exec"), names)
    assert names["s"] == "é"


NEW = {
    "def first[T](x: list[T]) -> T:\n    return x[0]\n": "line 1: type parameters, def first[…]",
    "x = 1\n\n\nclass Box[T]:\n    pass\n": "line 4: type parameters, class Box[…]",
    "async  def f [T](x):\n    pass\n": "line 1: type parameters, def f[…]",
    "type Pair = tuple[int, int]\n": "line 1: the statement type Pair",
    "if True:\n    type Pair[T] = tuple[T, T]\n": "line 2: the statement type Pair",
    "d = {}\ns = f\"{d[\"a\"]}\"\n": "line 2: an f-string",
    "s = f'{x!r:{w['a']}}'\n": "line 1: an f-string",
    "x = ['a']\ns = f\"{'\\n'.join(x)}\"\n": "line 2: an f-string",
    "s = f'''{\nx # a comment\n}'''\n": "line 1: an f-string",
    "s = rf\"{\"\\d\"}\"\n": "line 1: an f-string",
}  # fmt: skip
OLD = [
    "def f(x): return x[0]\n", "type = 3\ntype[0:1]\n", "x = type(y)[0]\n", "type in x\n", "f'{{'\n", "f'{x}}}'\n", "f'{x:{w}.{p}f}\\n'\n",
    "f'\\N{DIGIT ONE} {x}'\n", "f\"{d['a']} {'#'}\"\n", "f\"{'{'}\"\n", "f'''{d[\"a\"]}\\n'''\n", "f'{x:#x}'\n", "rf'\\d{x}'\n",
    "'''\ndef f[T](x): pass\ntype X = int\nf\"{d[\"a\"]}\"\n'''\n", "# type X = int\n", "f'{(lambda x: x)(1)}'\n", "f'a' '{' f'b'\n", "b'{'\n",
    "print(type, x)\n", "s = f'{x}' f\"{y['a']}\"\n",
]  # fmt: skip


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python knows the syntax")
@pytest.mark.parametrize("text", NEW)
def test_syntax_of_a_newer_python_is_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(text)
    assert newer_syntax(text).startswith(NEW[text])
    (tmp_path / "vae.py").write_text(text)
    [problem] = read_submission(tmp_path, ("vae",)).problems
    assert problem.startswith("vae.py is written for Python 3.12 or newer (line ")
    assert problem.endswith("and Python 3.11 runs it here")


@pytest.mark.parametrize("text", OLD)
def test_what_this_python_knows_is_not_suspected(text: str) -> None:
    ast.parse(text)
    assert newer_syntax(text) == ""


def test_no_module_of_python_is_suspected() -> None:
    """What runs here is not too new."""
    folder = Path(ast.__file__).parent
    paths = [*sorted(folder.glob("*.py"))[::4], *sorted((folder / "test").glob("test_*string*.py")), Path(__file__)]
    texts = [decode(path.read_bytes()) for path in paths]
    assert [path.name for path, text in zip(paths, texts, strict=True) if newer_syntax(text)] == []
