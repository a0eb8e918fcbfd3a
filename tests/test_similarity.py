"""Similar submissions: honest work is left alone, copies are found whatever they wear, and nothing else decides it."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from grader.classes.similarity import GRAM, LEAST, Pair, Similarity, Work, compare
from grader.classes.tokens import Tokens, symbol
from grader.classes.tokens import tokens_of as made_of
from grader.report import alike
from tests import bank
from tests.bank import Alternative

from .disguised import HEAVY, LIGHT, MEDIUM, Change, disguised

ROOT = Path(__file__).resolve().parents[1]
MODULES = tuple(sorted(path.stem for path in (ROOT / "tests" / "bank" / "rewrites" / "plain").glob("*.py")))
STYLES = ("plain", "idiomatic", "statistician", "engineer", "by_hand")
Sources = Mapping[str, str]
tokens_of = functools.cache(made_of)  # tests look at the same texts


def spread(function: Callable[[str], Tokens], texts: Sequence[str]) -> Iterable[Tokens]:
    assert function is made_of
    return map(tokens_of, texts)


def sources_in(folder: Path) -> dict[str, str]:
    return {module: (folder / f"{module}.py").read_text() for module in MODULES}


STARTER = sources_in(ROOT / "starter")
HONEST: dict[str, Sources] = {
    "reference": sources_in(ROOT / "solution"),
    **{style: sources_in(ROOT / "tests" / "bank" / "rewrites" / style) for style in STYLES},
}


def works(sources: Mapping[str, Sources]) -> list[Work]:
    return [Work(name, name, texts) for name, texts in sources.items()]


def found_in(
    sources: Mapping[str, Sources], starter: Sources = STARTER
) -> tuple[Similarity, dict[frozenset[str], Pair]]:
    similar = compare(works(sources), starter, spread)
    names = list(sources)
    return similar, {frozenset((names[pair.first], names[pair.second])): pair for pair in similar.pairs}


# tokens


PLAIN = """
import torch.nn.functional as F
def loss(x, scale=0.5):
    \"\"\"What it costs.\"\"\"
    total = F.relu(x).sum(dim=-1) * scale  # of everything
    self.kept = [total for _ in range(3)]
    return torch.logsumexp(total + 1, dim=0)
"""
CLOTHES = {
    "names": PLAIN.replace("total", "cost").replace("scale", "weight").replace("loss", "_l").replace("kept", "m"),
    "another alias": PLAIN.replace("as F", "as functional").replace("F.relu", "functional.relu"),
    "comments and docstrings": PLAIN.replace("# of everything", "").replace("What it costs.", "My own words."),
    "layout": PLAIN.replace("F.relu(x)", "F.relu(\n        x,\n    )").replace("def", "\n\n\ndef"),
    "numbers": PLAIN.replace("0.5", "1e-3").replace("range(3)", "range(17)"),
    "brackets": PLAIN.replace("return torch.logsumexp(total + 1, dim=0)", "return (torch.logsumexp((total + 1), dim=0))"),
    "annotations": PLAIN.replace("def loss(x, scale=0.5):", "def loss(x: torch.Tensor, scale: float = 0.5) -> Tensor:"),
    "a typed name": PLAIN.replace("total =", "total: list[int] ="),
}  # fmt: skip


@pytest.mark.parametrize("clothes", CLOTHES)
def test_what_a_copy_wears_makes_no_other_tokens(clothes: str) -> None:
    assert CLOTHES[clothes] != PLAIN
    assert tokens_of(CLOTHES[clothes]).symbols.tolist() == tokens_of(PLAIN).symbols.tolist()


@pytest.mark.parametrize(
    ("old", "new"), [("relu", "gelu"), ("logsumexp", "sum"), ("+ 1", "- 1"), ("range(3)", "(1, 2)")]
)
def test_what_the_program_does_makes_other_tokens(old: str, new: str) -> None:
    assert tokens_of(PLAIN.replace(old, new)).symbols.tolist() != tokens_of(PLAIN).symbols.tolist()


def test_tokens_know_where_they_stand() -> None:
    tokens = tokens_of(PLAIN)
    at = tokens.symbols.tolist().index(symbol("logsumexp"))
    assert PLAIN[tokens.starts[at] : tokens.ends[at]] == "logsumexp"
    assert (tokens.starts < tokens.ends).all()
    assert (tokens.starts[1:] >= tokens.ends[:-1]).all()


def test_strings_are_one_token_each_whatever_is_in_them() -> None:
    one = tokens_of('raise ValueError(f"not {x!r:>{w}} of {self.y}" "and more")\n')
    assert one.symbols.tolist() == tokens_of("raise ValueError('no')\n").symbols.tolist()


@pytest.mark.parametrize("operator", ["<=", ">=", "=="])
def test_comparing_binds_nothing(operator: str) -> None:
    assert symbol("sum") in tokens_of(f"if sum {operator} limit: pass\n").symbols.tolist()


STRANGE = {
    "nothing": "", "blanks": " \n\t\n", "a null": "x = 1\0\ny = 2\n", "no end": "def f(:\n  return (((\n" * 200,
    "an open string": '"""' + "x = 1\n" * 500, "one line": "x = [" + "1, " * 100_000 + "]", "quotes": "'" * 50_000,
    "brackets": "(" * 50_000, "backslashes": "\\" * 50_000, "other letters": "переменная = 値 + ﬁ\n" * 20,
    "halves": "x = '\udc80'\n", "digits": "9" * 50_000, "an f-string": 'f"' + "{" * 3000, "dots": "a" + ".b" * 20_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
def test_any_text_has_tokens(kind: str) -> None:
    text = STRANGE[kind]
    tokens = tokens_of(text)
    assert len(tokens.starts) == len(tokens.ends) == len(tokens)
    assert not len(tokens) or tokens.ends[-1] <= len(text)


def test_a_file_with_an_error_is_compared_like_any_other() -> None:
    broken = {**HONEST["plain"], "vae": HONEST["plain"]["vae"].replace("class VAE", "class VAE VAE", 1) + "\n)"}
    _, pairs = found_in({"whole": HONEST["plain"], "broken": broken})
    assert pairs[frozenset(("whole", "broken"))].whole > 0.98


def test_tokens_are_the_same_in_every_run() -> None:
    code = f"from grader.classes.tokens import tokens_of; print(tokens_of({PLAIN!r}).symbols.tolist())"
    said = {
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert said == {f"{tokens_of(PLAIN).symbols.tolist()}\n"}


# honest work


@pytest.fixture(scope="module")
def honest() -> Similarity:
    return compare(works(HONEST), STARTER, spread)


def test_work_from_the_same_handout_is_not_suspicious(honest: Similarity) -> None:
    assert not honest.pairs
    assert not honest.copies
    assert honest.compared == len(HONEST)
    assert all(share < 0.5 for share in honest.shares)  # of 0.6, with which a pair begins to be suspicious


def alternatives() -> list[Alternative]:
    found: list[Alternative] = []
    for question in pkgutil.iter_modules(bank.__path__):
        if not question.ispkg or question.name == "rewrites":
            continue
        package: ModuleType = importlib.import_module(f"tests.bank.{question.name}")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.startswith("alternatives"):
                found += importlib.import_module(f"{package.__name__}.{module.name}").ALTERNATIVES
    return [one for one in found if one.append]


def test_other_answers_to_one_question_are_not_taken_for_the_references() -> None:
    """Each function that the bank has another answer to is compared alone, without the rest of the reference."""
    several = alternatives()
    assert len(several) > 100
    by_module: dict[str, str] = {}
    for one in several:
        by_module[one.module] = by_module.get(one.module, "") + "\n\n" + one.append
    _, pairs = found_in({"reference": HONEST["reference"], "alternatives": by_module})
    assert not pairs


def test_what_was_handed_out_is_nobodys_own() -> None:
    similar, pairs = found_in({"ann": STARTER, "bob": STARTER, "cy": {}, "dee": {"vae": "x = 1\n"}})
    assert not pairs
    assert not similar.copies
    assert similar.compared == 0


def test_a_few_lines_are_no_trace() -> None:
    """The formula of the divergence is the same in all books."""
    formula = "def kl(mu, logvar):\n    return 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum(dim=-1)\n"
    assert GRAM < len(tokens_of(formula)) < LEAST
    _, pairs = found_in({"ann": {"gaussians": formula}, "bob": {"gaussians": formula.replace("mu", "m")}})
    assert not pairs


# copies


@pytest.mark.parametrize(
    ("changes", "least"), [(LIGHT, 0.95), (MEDIUM, 0.85), (HEAVY, 0.7)], ids=["light", "medium", "heavy"]
)
def test_a_copy_in_disguise_is_found_and_nothing_else(changes: tuple[Change, ...], least: float) -> None:
    copies = {
        f"copy of {name}": disguised(HONEST[name], changes, seed) for seed, name in enumerate(("plain", "engineer"))
    }
    _, pairs = found_in({**HONEST, **copies})
    assert pairs.keys() == {frozenset((name.removeprefix("copy of "), name)) for name in copies}
    assert all(pair.whole > least for pair in pairs.values())


def test_one_copied_module_is_found() -> None:
    copied = disguised({"training": HONEST["by_hand"]["training"]}, MEDIUM, 3)
    _, pairs = found_in({**HONEST, "eve": {**HONEST["plain"], **copied}, "plain": STARTER})
    assert pairs.keys() == {frozenset(("by_hand", "eve"))}
    assert pairs[frozenset(("by_hand", "eve"))].alike == ("training",)


def test_code_that_was_moved_to_another_file_is_found() -> None:
    texts = HONEST["statistician"]
    moved = {"vae": texts["vqvae"], "vqvae": texts["vae"], "prior": texts["training"] + texts["prior"]}
    _, pairs = found_in({"ann": texts, "eve": moved})
    pair = pairs[frozenset(("ann", "eve"))]
    assert pair.whole > 0.95
    assert {(region.first[0], region.second[0]) for region in pair.regions} >= {("vae", "vqvae"), ("training", "prior")}


def test_the_regions_are_what_both_have() -> None:
    ann, eve = HONEST["idiomatic"], disguised(HONEST["idiomatic"], MEDIUM, 1)
    _, pairs = found_in({"ann": ann, "eve": eve})
    [pair] = pairs.values()
    for region in pair.regions:
        (here, start, end), (there, begin, stop) = region.first, region.second
        pieces = tokens_of(ann[here]), tokens_of(eve[there])
        inside = [
            one.symbols[(one.starts >= low) & (one.ends <= high)].tolist()
            for one, low, high in zip(pieces, (start, begin), (end, stop), strict=True)
        ]
        assert inside[0] == inside[1]
        assert len(inside[0]) == region.tokens >= GRAM


def test_copies_of_many_do_not_hide_themselves() -> None:
    """What much of a class has is nobody's, but a ring of copies is one text."""
    ring = {f"ring {n}": disguised(HONEST["engineer"], (LIGHT[0],), n) for n in range(15)}
    similar, pairs = found_in({**HONEST, **ring})
    assert len(similar.copies) == 1
    assert len(similar.copies[0]) == 16
    assert len(pairs) == 16 * 15 // 2


def test_what_much_of_a_class_writes_is_taken_out() -> None:
    shown_in_class = HONEST["reference"]["training"]
    others = {
        f"s{n}": {"training": shown_in_class, "vae": f"VALUE_{n} = {n}\n" + f"print({n})\n" * n} for n in range(12)
    }
    assert not found_in(others)[1]
    few = dict(itertools.islice(others.items(), 4))
    assert len(found_in(few)[1]) == 6


def test_one_owner_is_not_compared_with_himself() -> None:
    texts = HONEST["plain"]
    similar = compare([Work("moodle:1", "Ann", texts), Work("moodle:1", "Ann again", texts)], STARTER, spread)
    assert not similar.pairs
    assert not similar.copies


def test_nothing_to_compare() -> None:
    assert compare([], STARTER) == Similarity((), (), 0, (), 0)
    assert compare(works({"ann": {}}), {}) == Similarity((), (), 0, (), 0)


# the page


def page_of(**others: object) -> alike.Page:
    fields: dict[str, object] = {
        "compared": 2, "submissions": 3, "threshold": 0.6, "least": LEAST, "looked_from": 0.3, "shares": (0.95, 0.41, 0.4), "copies": (),
        "pairs": (), "left_off": 0, "unread": (), **others,
    }  # fmt: skip
    return alike.Page(**fields)  # type: ignore[arg-type]


def test_an_excerpt_is_whole_lines_with_the_region_marked() -> None:
    text = "first\nsecond line\nthird\nfourth"
    shown = alike.excerpt("vae", text, text.index("line"), text.index("ird") + 3)
    assert shown.lines == [(2, "second ", "line", ""), (3, "", "third", "")]
    assert alike.excerpt("vae", text, text.index("fou"), len(text)).lines == [(4, "", "fourth", "")]


def test_the_page_shows_texts_and_names_of_others_as_text() -> None:
    hostile = "</pre><script>alert(1)</script>\u202e\x1b[31m"
    side = alike.excerpt("vae", hostile, 0, len(hostile))
    part = alike.PairPart("<b>Ann</b>", "Bob & Co", 0.999, ["vae"], [alike.ModuleRow("vae", "99 %", "98 %", True)],
                          [alike.Passage(20, side, side)], 1)  # fmt: skip
    text = alike.render(page_of(pairs=[part], copies=[["<i>", "x"]], unread=["<u>"]))
    for raw in ("<script", "<b>Ann", "<i>", "<u>", "\u202e", "\x1b"):
        assert raw not in text
    assert "&lt;b&gt;Ann&lt;/b&gt;" in text
    assert "99 %" in text
    assert "100 %" not in text.partition("<tbody>")[2].partition("</tbody>")[0], "only all of it is everything"


def test_the_page_stands_alone() -> None:
    text = alike.render(page_of())
    assert "No two submissions are suspiciously alike" in text
    assert "For instructors only" in text
    for outside in ("http:", "https:", "src=", "<script", "@import", "url("):
        assert outside not in text


def test_bars_count_every_pair_once() -> None:
    assert [count for _, count, _ in alike.bars((0.0, 0.3, 0.39, 0.4, 1.0))] == [1, 0, 0, 2, 1, 0, 0, 0, 0, 1]
