"""Writes ``docs/reference/``: what can be typed, and what ``report.json`` holds. ``make reference``; a test compares.

Commands and options come from the parser of the command line, fields from ``grader/report/schema.json``. What an exit
code means stands here, and the README's table is made from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ..cli.arguments import arguments
from .marked import between
from .starter import ROOT

FOLDER = ROOT / "docs" / "reference"
README = ROOT / "README.md"
SCHEMA = ROOT / "grader" / "report" / "schema.json"

# of each command: what 0 and 1 say
EXITS: Mapping[str, Mapping[int, str]] = {
    "grade": {0: "grading completed, whatever the marks", 1: "with `--to`: a mark is not in the upload"},
    "check": {0: "all that ran passed", 1: "something did not pass"},
    "watch": {0: "nothing: Ctrl-C ends it"},
    "box": {0: "nothing got through", 1: "something got through"},
    "similar": {0: "whatever was found"},
    "show": {0: "whatever was found"},
    "page": {0: "the page is written"},
    "override": {0: "points were given, taken back or listed"},
    "rerun": {0: "status and points are what is stored", 1: "something else comes out"},
    "diff": {0: "no marks move", 1: "some do"},
    "export": {0: "every mark is in the file", 1: "some are left out, and listed"},
}
# of all of them
FURTHER: Mapping[int, str] = {
    2: "wrong arguments; of `box`: no box can be had; of `export`: something has to be mended, nothing was written",
    3: "the grader itself failed, or a result could not be written",
    4: "of `grade`, `check` and `rerun`: no box for the code of others, or one that does not hold: nothing was run",
    130: "Ctrl-C",
}


def exit_table() -> str:
    """Markdown: a row per command, then what the other codes say everywhere."""
    lines = ["| command | exit code 0 | exit code 1 |", "|---|---|---|"]
    lines += [f"| `{name}` | {codes[0]} | {codes.get(1, '')} |" for name, codes in EXITS.items()]
    lines += ["", "| exit code | of any command |", "|---|---|"]
    lines += [f"| {code} | {said} |" for code, said in FURTHER.items()]
    return "\n".join(lines) + "\n"


def with_exits(readme: str) -> str:
    """The README with today's exit codes."""
    return between(readme, "exits", exit_table())


# ---- commands -----------------------------------------------------------------------------------------------------


def commands() -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """What each command is for, and its parser."""
    [choice] = [action for action in arguments()._actions if isinstance(action, argparse._SubParsersAction)]
    said = {action.dest: action.help or "" for action in choice._choices_actions}
    return {name: (said[name], parser) for name, parser in choice.choices.items()}


def commands_page() -> str:
    """The page of commands."""
    lines = [
        "# Commands", "",
        "Made by `make reference` from the parser: what `python -m grader COMMAND --help` says, in one place. Targets "
        "of `make`, which call these and the authors' tools, are listed by `make` alone.", "",
    ]  # fmt: skip
    for name, (said, parser) in commands().items():
        lines += [f"## {name}", "", f"{sentence(parser.description or said)}", "", f"    {usage(name, parser)}", ""]
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| {written(action)} | {meaning(action)} |" for action in shown(parser)]
        lines.append("")
    return "\n".join([*lines, "## Exit codes", "", exit_table()])


def shown(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its arguments, those without a name first, and without --help."""
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    return iter(sorted(actions, key=lambda action: bool(action.option_strings)))


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":")) else ".")


def usage(name: str, parser: argparse.ArgumentParser) -> str:
    """What is typed at least."""
    words = ["python -m grader", name]
    for action in shown(parser):
        if action.option_strings and action.required:
            words.append(f"{action.option_strings[0]} {value_of(action)}")
        elif not action.option_strings:
            words.append({"?": "[{}]", "+": "{} …"}.get(str(action.nargs), "{}").format(value_of(action)))
    return " ".join([*words, "[OPTIONS]"])


def value_of(action: argparse.Action) -> str:
    """What stands for the value of an argument; nothing where it takes none."""
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def written(action: argparse.Action) -> str:
    """An argument, as it is typed."""
    value = value_of(action).replace("|", "\\|")
    names = action.option_strings or [value]
    joined = ", ".join(f"`{name}`" for name in names)
    return f"{joined} `{value}`" if action.option_strings and value else joined


def meaning(action: argparse.Action) -> str:
    """What it says of itself."""
    said = action.help or ""
    return said.replace("|", "\\|") + (" (needed)" if action.option_strings and action.required else "")


# ---- report.json --------------------------------------------------------------------------------------------------


def report_page() -> str:
    """The page of fields."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    lines = [
        "# report.json", "",
        "Made by `make reference` from [`grader/report/schema.json`](../../grader/report/schema.json), which a "
        "validator takes: one object for a submission. `a.b` is a field of an object, `a[]` an entry of a list.", "",
        "| field | type | meaning |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| `{path}`{'' if always else ' (may be missing)'} | {kind(part)} | {part.get('description', '')} |"
              for path, part, always in fields(schema, "")]  # fmt: skip
    return "\n".join(lines) + "\n"


def fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """(path, schema, whether it is always there) of all named fields."""
    for variant in schema.get("oneOf", [schema]):
        inside, where = (variant["items"], f"{path}[]") if "items" in variant else (variant, path)
        for name, part in inside.get("properties", {}).items():
            named = f"{where}.{name}".lstrip(".")
            yield named, part, name in inside.get("required", ())
            yield from fields(part, named)


def kind(part: Mapping[str, Any]) -> str:
    """The type of a field."""
    if "oneOf" in part:
        return " or ".join(dict.fromkeys(kind(variant) for variant in part["oneOf"]))
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part.get("type") == "array":
        return f"list of {kind(part['items'])}"
    types = part.get("type", "object")
    return types if isinstance(types, str) else " or ".join(types)


def pages() -> dict[str, str]:
    """The pages by name."""
    return {"commands.md": commands_page(), "report.md": report_page()}


def main() -> int:
    """Writes the pages, and the README's table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    README.write_text(with_exits(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
