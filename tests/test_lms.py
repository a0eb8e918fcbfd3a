"""Marks in the tables of Moodle, Canvas and Gradescope: only what should change does, and nobody gets another's mark."""

from __future__ import annotations

import codecs
import csv
import io
import json
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grader.classes.people import Owner
from grader.report.lms import canvas, moodle, tables
from grader.report.lms.columns import HEADS, KNOWN, folded, participant
from grader.report.lms.filling import Choices
from grader.report.lms.marks import Export, Mark, TemplateError, as_html, written
from grader.report.lms.matching import same_name, unlike
from grader.report.lms.sheet import MAX_BYTES, read_sheet

HEAD = ("Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
        "Last modified (submission),Last modified (grade),Feedback comments")  # fmt: skip


def person(name: str, id: str = "", system: str = "moodle", **also: str) -> Owner:
    return Owner(name, id, system if id else "", "person", also)  # type: ignore[arg-type]


def mark(owner: Owner, points: float = 85.5, feedback: str = "Well done", **more: object) -> Mark:
    return replace(Mark(owner, points, 100.0, bonus=10.0, feedback=feedback), **more)  # type: ignore[arg-type]


JANE = person("Jane Doe", "101")
BOB = person("Bob Roe", "102")


def row_of(
    number: int,
    name: str,
    grade: str = "",
    maximum: str = "100.00",
    can: str = "Yes",
    comment: str = "",
    email: str = "",
) -> str:
    return f"Participant {number},{name},{email},Submitted for grading,{grade},{maximum},{can},-,-,{comment}"


def sheet_of(*rows: str, head: str = HEAD, end: str = "\n") -> bytes:
    return (end.join([head, *rows]) + end).encode()


def read(content: bytes, encoding: str = "utf-8-sig", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter))


def why(export: Export) -> dict[str, str]:
    return {left.who: left.why for left in export.left}


# --- no other byte changes

PIECES = st.text(st.sampled_from('aé,;\t "=\n\r漢'), max_size=6)


@st.composite
def sheets(draw: st.DrawFn) -> tuple[list[list[str]], list[str], str, str]:
    """Cells as they stand in the file, line ends, separator and encoding. Column 0 identifies, 2 is the grade, 4 the
    comment."""
    separator = draw(st.sampled_from(",;\t"))
    # the head has none of another kind: what separates has to be plain
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark", "cp1252"]))
    keep = str.maketrans("", "", "漢" if encoding == "cp1252" else "")

    def token(text: str) -> str:
        text = text.translate(keep)
        if any(sign in text for sign in (separator, '"', "\r", "\n")) or draw(st.booleans()):
            return '"' + text.replace('"', '""') + '"'
        return text

    count = draw(st.integers(1, 5))
    rows = [[token(text) for text in ("Identifier", "Full name", "Grade", "Online text", "Feedback comments", "Other")]]
    for number in range(count):
        cells = [f"Participant {number + 1}", draw(PIECES), "", draw(PIECES), "", draw(PIECES)]
        rows.append([token(cell) for cell in cells])
    ends = [draw(st.sampled_from(["\n", "\r\n", "\r"]))] * len(rows)
    if draw(st.booleans()):
        ends[-1] = ""
    return rows, ends, separator, encoding


def encoded(rows: Sequence[Sequence[str]], ends: Sequence[str], separator: str, encoding: str) -> bytes:
    text = "".join(separator.join(row) + end for row, end in zip(rows, ends, strict=True))
    if encoding == "utf-16-be-mark":
        return codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    return text.encode(encoding)


@settings(max_examples=150, deadline=None)
@given(sheets(), st.sets(st.integers(1, 5)), st.floats(0, 100), st.text(st.sampled_from('a"é;,\n<\\'), max_size=8))
@example(([["Identifier", "Full name", "Grade", "Online text", "Feedback comments", "Other"],
           ["Participant 1", "", "", "", "", ""]], ["\n", "\n"], ",", "cp1252"), {1}, 0.0, "é")  # fmt: skip
def test_every_byte_outside_of_the_two_cells_stays(
    made: tuple[list[list[str]], list[str], str, str], marked: set[int], points: float, feedback: str
) -> None:
    rows, ends, separator, encoding = made
    template = encoded(rows, ends, separator, encoding)
    marked &= set(range(1, len(rows)))
    done = moodle.fill([mark(person("", str(n)), points, feedback) for n in sorted(marked)], template)
    assert done.left == ()
    assert done.filled == len(marked)
    expected = [[*row] for row in rows]
    comment = as_html(feedback)
    if encoding == "cp1252" and template.isascii():
        encoding = "utf-8"  # of plain ASCII nobody can say that it is none
    elif encoding == "cp1252":
        comment = comment.encode("ascii", "xmlcharrefreplace").decode()
    for number in marked:
        for column, text in ((2, written(points)), (4, comment)):
            old = rows[number][column]
            quotes = text and (old.startswith('"') or separator in text)
            expected[number][column] = f'"{text}"' if quotes else text or old
    assert done.content == encoded(expected, ends, separator, encoding)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_stay_also_inside_of_cells(end: str, last: bool) -> None:
    text = end.join([HEAD, row_of(101, f'"Jane{end}Doe"'), row_of(102, "Bob Roe")]) + (end if last else "")
    done = moodle.fill([mark(JANE)], text.encode())
    assert done.content.decode() == text.replace(
        "grading,,100.00,Yes,-,-,", "grading,85.50,100.00,Yes,-,-,<p>Well done</p>", 1
    )


def test_a_sheet_from_which_excel_has_dropped_empty_cells_at_the_end() -> None:
    short = row_of(101, "Jane Doe").rstrip(",")
    done = moodle.fill([mark(JANE)], sheet_of(short, row_of(102, "Bob Roe")))
    assert done.left == ()
    assert done.content.decode().splitlines()[1] == short.replace(",,100", ",85.50,100") + ",<p>Well done</p>"
    head = "Identifier,Full name,Online text,Grade,Feedback comments"
    done = moodle.fill([mark(JANE)], sheet_of("Participant 101,Jane Doe", head=head, end="\r"))
    assert done.content == sheet_of("Participant 101,Jane Doe,,85.5,<p>Well done</p>", head=head, end="\r")


def test_quotes_as_php_writes_them_are_read() -> None:
    """PHP does not double a quote that follows a backslash."""
    head = HEAD.replace("Last modified (grade)", "Online text,Last modified (grade)")
    row = r'Participant 101,Jane Doe,,Submitted,,100,Yes,-,"print(\"a, b\")",-,'
    done = moodle.fill([mark(JANE)], sheet_of(row, head=head))
    assert done.content == sheet_of(row.replace("Submitted,,", "Submitted,85.5,") + "<p>Well done</p>", head=head)


def test_the_line_in_which_excel_names_the_separator_stays() -> None:
    template = ("sep=;\r\n" + HEAD.replace(",", ";") + "\r\n" + row_of(101, "Jane Doe").replace(",", ";")).encode()
    done = moodle.fill([mark(JANE)], template)
    assert done.filled == 1
    assert done.content.startswith(b"sep=;\r\nIdentifier;")


# --- columns, languages, decimals

LANGUAGES = {
    "de": ("ID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung;Bestwertung;Bewertung kann geändert werden;"
           "Zuletzt geändert (Abgabe);Zuletzt geändert (Bewertung);Feedback als Kommentar", "Teilnehmer/in101", "Ja"),
    "fr": ("Identifiant;Nom complet;Adresse de courriel;Statut;Note;Note maximale;La note peut être modifiée;"
           "Dernière modification (travail remis);Dernière modification (note);Feedback par commentaires",
           "Participant101", "Oui"),
    "es": ("Identificador;Nombre completo;Dirección de correo;Estado;Calificación;Calificación máxima;"
           "La calificación puede ser cambiada;Última modificación (entrega);Última modificación (calificación);"
           "Comentarios de retroalimentación", "Participante 101", "Sí"),
    "pt": ("Identificador;Nome completo;Endereço de e-mail;Estado;Nota;Nota máxima;A nota pode ser alterada;"
           "Última modificação (trabalho);Última modificação (nota);Comentários de feedback", "Participante 101", "Sim"),
    "it": ("Identificativo;Nome completo;Indirizzo email;Stato;Valutazione;Valutazione massima;"
           "La valutazione può essere cambiata;Ultima modifica (consegna);Ultima modifica (valutazione);Commenti",
           "Partecipante101", "Sì"),
    "nl": ("Identificatie;Volledige naam;E-mailadres;Status;Cijfer;Maximumcijfer;Cijfer kan gewijzigd worden;"
           "Laatst gewijzigd (inzending);Laatst gewijzigd (beoordeling);Feedback opmerkingen", "Deelnemer 101", "Ja"),
    "pl": ("Identyfikator;Imię i nazwisko;Adres e-mail;Status;Ocena;Maksymalna ocena;Ocena może być zmieniona;"
           "Ostatnio modyfikowane (praca);Ostatnio modyfikowane (ocena);Komentarz zwrotny", "Uczestnik 101", "Tak"),
    "ru": ("Идентификатор;Полное имя;Адрес электронной почты;Состояние;Оценка;Максимальная оценка;"
           "Оценка может быть изменена;Последнее изменение (ответ);Последнее изменение (оценка);"
           "Отзыв в виде комментария", "Участник 101", "Да"),
    "zh": ("识别码;全名;电子邮件地址;状态;成绩;最高分;允许更改成绩;最后修改（学生）;最后修改（教师）;反馈评语", "参与者101", "是"),
    "ja": ("ID;氏名;メールアドレス;ステータス;評定;最大評点;評点変更可;最終更新日時 (提出);最終更新日時 (評定);フィードバックコメント",
           "参加者101", "はい"),
    # none of our languages
    "is": ("Auðkenni;Fullt heiti;Netfang;Staða;Einkunn;Hámarkseinkunn;Má breyta einkunn;Síðast breytt (skil);"
           "Síðast breytt (einkunn);Umsögn", "Þátttakandi 101", "Já"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_sheets_in_other_languages(language: str, separator: str, encoding: str) -> None:
    head, identifier, yes = LANGUAGES[language]
    row = f"{identifier};Jané Doe;j@x.org;-;;100,00;{yes};-;-;"
    rows = [line.split(";") for line in (head, row, row.replace("101", "7").replace("Jané", "Bob").replace("j@", "b@"))]
    template = "".join(separator.join(f'"{c}"' if separator in c else c for c in cells) + "\r\n" for cells in rows)
    done = moodle.fill([mark(person("Jané Doe", "101"))], template.encode(encoding))
    assert done.left == ()
    [_, filled, other] = read(done.content, "utf-16" if encoding == "utf-16" else "utf-8-sig", separator)
    assert filled == [identifier, "Jané Doe", "j@x.org", "-", "85,50", "100,00", yes, "-", "-", "<p>Well done</p>"]
    assert other == rows[2]


def test_a_locked_row_is_locked_in_every_language() -> None:
    no = {"de": "Nein", "fr": "Non", "es": "No", "pt": "Não", "it": "No", "nl": "Nee", "pl": "Nie", "ru": "Нет", "zh": "否",
          "ja": "いいえ"}  # fmt: skip
    for language, word in no.items():
        head, identifier, _ = LANGUAGES[language]
        template = f"{head}\n{identifier};Jane Doe;;-;;100,00;{word};-;-;\n".encode()
        done = moodle.fill([mark(JANE)], template)
        assert done.content == template, language
        assert "locked" in why(done)["Jane Doe (101)"], language


def test_no_two_roles_share_a_word() -> None:
    words = [folded(name) for names in HEADS.values() for name in dict.fromkeys(map(folded, names))]
    assert len(words) == len(KNOWN)


@pytest.mark.parametrize(
    ("text", "number"),
    [("Participant 123", "123"), ("Teilnehmer/in123", "123"), ("参与者0123", "123"), ("123", "123"), ("Participant", ""),
     ("Participant 12 3", ""), ("12 Participant", ""), ("", "")],
)  # fmt: skip
def test_the_number_of_a_participant(text: str, number: str) -> None:
    assert participant(text) == number


@pytest.mark.parametrize(
    ("maximum", "grade"),
    [
        ("100.00", "85.50"),
        ("100,00", "85,50"),
        ("100", "85.5"),
        ("110.00", "85.50"),
        ("100,0", "85,5"),
        ("100,00000", "85,5"),
    ],
)
def test_decimals_are_written_as_the_sheet_writes_them(maximum: str, grade: str) -> None:
    row = row_of(101, "Jane Doe", maximum=f'"{maximum}"')
    done = moodle.fill([mark(JANE)], sheet_of(row))
    assert read(done.content)[1][4] == grade


def test_a_column_of_an_unknown_name_can_be_named() -> None:
    template = sheet_of(
        row_of(101, "Jane Doe"), head=HEAD.replace("Feedback comments", "Remarks").replace("Grade,", "Mark,", 1)
    )
    rows = template.replace(b"-,-,", b"-,-,x")  # nothing is empty: contents say nothing
    with pytest.raises(TemplateError, match=r"'Remarks'.*\[export.columns\] feedback"):
        moodle.fill([mark(JANE)], rows)
    choices = Choices(columns=(("grade", "Mark"), ("feedback", "remarks")), replace=True)
    assert moodle.fill([mark(JANE)], rows, choices).filled == 1


def test_two_columns_that_could_be_the_grade_are_refused() -> None:
    template = sheet_of("Participant 1,a,b", head="Identifier,Grade,Cijfer,Feedback comments")
    with pytest.raises(TemplateError, match="2 columns could be the grade"):
        moodle.fill([], template)


# --- templates that cannot be used


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b" \r\n\r\n", "empty"),
        (b"PK\x03\x04rest", "not a CSV"),
        (b"\xd0\xcf\x11\xe0rest", "not a CSV"),
        (b"x" * (MAX_BYTES + 1), "32 MB"),
        (codecs.BOM_UTF8 + b"Identifier,Grade\nParticipant 1,\xff\n", "line 2.*UTF-8"),
        (sheet_of('Participant 101,"Jane'), "line 2.*not closed"),
        (sheet_of(row_of(101, "A"), 'Participant 102,"Bob" Roe,,'), "line 3.*follows a closing quote"),
        (sheet_of(row_of(101, '"A\nB"'), row_of(102, "Doe, Jane", comment="x")), "line 4.*11 cells and the head 10"),
        (b"name,points\nJane,3\n", "no column is the identifier.*'name', 'points'"),
        (sheet_of(row_of(101, "A\0B")), "line 2.*zero byte"),
        (sheet_of(row_of(101, "Jane Doe", maximum="ten")), "line 2.*maximum is 'ten'"),
        (sheet_of("Participant 101,x,-,", head="Identifier,Grade,Scale,Feedback comments"), "scale of words"),
        (sheet_of(row_of(101, "Jane Doe", maximum="50.00")), "up to 50 and marks here to 100 or 110"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)  # fmt: skip
def test_what_is_no_worksheet_is_refused_with_the_line_and_the_remedy(content: bytes, told: str) -> None:
    with pytest.raises(TemplateError, match=rf"(?s){told}"):
        moodle.fill([mark(JANE)], content)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(st.sampled_from('Identifier,;\t"\r\n\\é'), max_size=60).map(str.encode))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbf")
def test_whatever_is_given_is_read_or_refused(content: bytes) -> None:
    try:
        sheet = read_sheet(content, lambda text: False)
    except TemplateError:
        return
    assert sheet.replaced({}) == content


# --- who gets what


def test_a_number_decides_before_a_name_and_two_of_one_name_stay_two() -> None:
    template = sheet_of(row_of(101, "Jane Doe"), row_of(102, "Jane Doe"))
    done = moodle.fill([mark(JANE, 10), mark(person("Jane Doe", "102"), 20)], template)
    assert [row[4] for row in read(done.content)[1:]] == ["10.00", "20.00"]
    done = moodle.fill([mark(person("Jane Doe"), 10)], template)
    assert done.content == template
    assert "lines 2, 3 have this name" in why(done)["Jane Doe"]


def test_a_name_counts_only_where_no_number_differs() -> None:
    template = sheet_of(row_of(101, "Jane Doe", email="jane@x.org"))
    assert moodle.fill([mark(person("Jane Doe"))], template).filled == 1
    assert moodle.fill([mark(person("JANE  DOE", email="Jane@X.org"))], template).filled == 1
    for owner in (person("Jane Doe", "999"), person("Jane Doe", email="other@x.org")):
        done = moodle.fill([mark(owner)], template)
        assert done.content == template
        assert "another" in done.left[0].why
    two = moodle.fill([mark(person("Jane Doe")), mark(replace(person("Jane Doe"), also={"section": "B"}))], template)
    assert two.content == template
    assert len(two.left) == 2


def test_a_number_of_another_system_neither_finds_nor_contradicts() -> None:
    template = sheet_of(row_of(101, "Jane Doe"), row_of(77, "Bob Roe"))
    done = moodle.fill([mark(person("Jane Doe", "77", "canvas"))], template)
    assert [row[4] for row in read(done.content)[1:]] == ["85.50", ""]


def test_the_worksheet_of_another_assignment_gives_nobody_anothers_mark() -> None:
    template = sheet_of(row_of(101, "Somebody Else"), row_of(102, "Bob Roe"))
    done = moodle.fill([mark(JANE), mark(BOB)], template)
    assert [row[4] for row in read(done.content)[1:]] == ["", "85.50"]
    assert "is it the table of this assignment" in why(done)["Jane Doe (101)"]


def test_numbers_that_disagree_with_each_other_are_said() -> None:
    template = sheet_of(row_of(101, "Jane Doe", email="jane@x.org"))
    done = moodle.fill([mark(person("Jane Doe", "101", email="other@x.org"))], template)
    assert "another e-mail address" in done.left[0].why
    assert done.content == template


def test_one_row_is_never_two_submissions() -> None:
    template = sheet_of(row_of(101, "Jane Doe", email="jane@x.org"))
    marks = [mark(JANE, 10), mark(person("Jane Doe", "5", "gradescope", email="jane@x.org"), 20)]
    done = moodle.fill(marks, template)
    assert done.content == template
    assert len(done.left) == 2
    assert all("several submissions" in left.why for left in done.left)
    again = moodle.fill([marks[0], replace(marks[0], points=20)], template)
    assert again.content == template
    assert len(again.left) == 2


def test_what_must_not_be_published_still_keeps_its_row_from_others() -> None:
    template = sheet_of(row_of(101, "Jane Doe"))
    open_case = mark(replace(person("Jane Doe"), also={"section": "1"}), unsettled="the grader failed on 3 checks")
    done = moodle.fill([open_case, mark(person("Jane Doe"))], template)
    assert done.content == template
    assert {left.why for left in done.left} >= {"the grader failed on 3 checks"}
    assert len(done.left) == 2


def test_a_group_goes_to_its_members_or_to_the_rows_that_name_it() -> None:
    head = HEAD.replace("Status", "Status,Group")
    rows = [row_of(n, name).replace("grading", f"grading,{group}")
            for n, name, group in ((101, "Jane Doe", "Team A"), (102, "Bob Roe", "Team A"), (103, "Al Poe", '"Team A, Team B"'),
                                   (104, "Eve Moe", "Team C"))]  # fmt: skip
    members = Owner("Team C", "9", "moodle", "group", members=(person("Eve Moe", "104"), person("Nobody", "105")))
    done = moodle.fill([mark(members)], sheet_of(*rows, head=head))
    assert [row[5] for row in read(done.content)[1:]] == ["", "", "", "85.50"]
    assert [left.who for left in done.left] == ["Nobody (105) of Team C (9)"]
    team = Owner("Team A", "101", "moodle", "group")
    done = moodle.fill([mark(team)], sheet_of(*rows[:2], rows[3], head=head))
    assert [row[5] for row in read(done.content)[1:]] == ["85.50", "85.50", ""]
    done = moodle.fill([mark(team)], sheet_of(*rows, head=head))
    assert done.content == sheet_of(*rows, head=head), "of somebody in two groups it is not known whose mark counts"
    assert len(done.left) == 1


def test_blind_marking_has_numbers_and_no_names() -> None:
    head = HEAD.replace("Full name,Email address,", "")
    row = "Participant 101,Submitted,,100.00,Yes,-,-,"
    done = moodle.fill([mark(Owner("Participant", "101", "moodle", "anonymous"))], sheet_of(row, head=head))
    assert done.filled == 1


@pytest.mark.parametrize(
    ("one", "other", "same", "strangers"),
    [
        ("Jane Doe", "jane  doe", True, False),
        ("Doe, Jane", "Jane Doe", True, False),
        ("doejane", "Doe, Jane", True, False),
        ("Doe Jane", "Jane Doe", False, False),
        ("O’Brien, Pat", "Pat O'Brien", True, False),
        ("José Núñez", "Jose\u0301 Nu\u0301n\u0303ez", True, False),
        ("José Núñez", "Jose Nunez", False, False),
        ("कि", "कु", False, True),
        ("张伟", "张伟", True, False),
        ("Jane Doe", "Bob Roe", False, True),
        ("", "", False, False),
        ("Participant", "", False, False),
    ],
)
def test_names(one: str, other: str, same: bool, strangers: bool) -> None:
    assert same_name(one, other) is same_name(other, one) is same
    assert unlike(one, other) is unlike(other, one) is strangers


# --- what is there already, and what a grade may be


def test_what_is_there_already_stays_unless_it_is_to_be_replaced() -> None:
    rows = row_of(101, "Jane Doe", grade="12.00"), row_of(102, "Bob Roe", comment="see me")
    template = sheet_of(*rows)
    done = moodle.fill([mark(JANE), mark(BOB)], template)
    assert done.content == template
    assert done.filled == 0
    assert "line 2: the grade 12.00 is there already" in why(done)["Jane Doe (101)"]
    assert "line 3: there are feedback comments already" in why(done)["Bob Roe (102)"]
    done = moodle.fill([mark(JANE), mark(BOB)], template, Choices(replace=True))
    assert [(row[4], row[9]) for row in read(done.content)[1:]] == [("85.50", "<p>Well done</p>")] * 2
    again = moodle.fill([mark(JANE), mark(BOB)], done.content)
    assert again.left == ()
    assert again.content == done.content


def test_above_the_maximum_moodle_gets_the_maximum_and_it_is_said() -> None:
    done = moodle.fill([mark(JANE, 107.5)], sheet_of(row_of(101, "Jane Doe")))
    assert read(done.content)[1][4] == "100.00"
    assert "107.5 points are written as 100" in read(done.content)[1][9]
    assert done.notes == ("Jane Doe (101): 107.5 points are written as 100, the most that the table takes",)
    done = moodle.fill([mark(JANE, 107.5)], sheet_of(row_of(101, "Jane Doe", maximum="110.00")))
    assert read(done.content)[1][4] == "107.50"


def test_marks_are_scaled_where_that_is_wanted() -> None:
    done = moodle.fill([mark(JANE, 85.5)], sheet_of(row_of(101, "Jane Doe", maximum="20.00")), Choices(scale=True))
    assert read(done.content)[1][4] == "17.10"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.001, "0"),
        (0.125, "0.13"),
        (0.1 + 0.2, "0.3"),
        (99.995, "100"),
        (100, "100"),
        (85.0, "85"),
        (2.675, "2.68"),
    ],
)
def test_grades_are_rounded_as_people_do(value: float, text: str) -> None:
    assert written(value) == text


def test_comments_are_html_without_quotes_and_no_formula() -> None:
    text = "=HYPERLINK(\"http://x\")\n<script>alert('1')</script> & more\\"
    html = as_html(text)
    assert html.startswith("<p>=HYPERLINK(&quot;")
    assert '"' not in html
    assert "\n" not in html
    assert "<script>" not in html
    assert html.endswith("\\</p>")
    done = moodle.fill([mark(JANE, feedback=text)], sheet_of(row_of(101, "Jane Doe")))
    assert read(done.content)[1][9] == html


# --- the zip of feedback


def test_the_feedback_zip_has_the_folders_that_moodle_looks_for() -> None:
    odd = person("Ann_Marie O'Neil / x", "103")
    marks = [mark(JANE), mark(odd), mark(person("No Number")), mark(person("No Report", "9"))]
    files = {m.owner.key: {"report.md": b"# x"} for m in marks[:3]}
    done = moodle.feedback_zip(marks, files)
    with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
        names = archive.namelist()
    assert names == [
        "Jane Doe_101_assignsubmission_file_/report.md",
        "Ann Marie O'Neil x_103_assignsubmission_file_/report.md",
    ]
    for name in names:  # as Moodle splits it
        assert name.split("_", 4)[1].isdigit()
        assert name.split("_", 4)[2:4] == ["assignsubmission", "file"]
    assert why(done).keys() == {"No Number", "No Report (9)"}
    assert moodle.feedback_zip(marks, files).content == done.content, "the same marks give the same bytes"


# --- Canvas

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,A6 (55),A7 (56),Current Score\r\n"
    ",,,,,,Manual Posting,\r\n"
    "    Points Possible,,,,,20.00,100.00,(read only)\r\n"
    '"Doe, Jane",1001,S1,jane@x.org,LEC 1 and LAB 2,12.00,,60.0\r\n'
    '"Roe, Bob",1002,S2,bob,LEC 1,,EX,\r\n'
    '"Student, Test",1003,,,LEC 1,,,\r\n'
)


def test_canvas_gets_one_column_and_keeps_everything_else() -> None:
    owners = [person("doejane", "1001", "canvas"), person("roebob", "1002", "canvas")]
    done = canvas.fill([mark(owner, 107.5) for owner in owners], CANVAS.encode(), Choices(assignment="56"))
    assert done.content.decode() == CANVAS.replace("12.00,,60.0", "12.00,107.5,60.0")
    assert why(done) == {"roebob (1002)": "line 5: the student is excused (EX)"}
    assert done.idle == 2


@pytest.mark.parametrize("asked", ["56", "(56)", "A7", "a7 (56)"])
def test_the_assignment_is_chosen_by_number_or_title(asked: str) -> None:
    done = canvas.fill([mark(person("Jane Doe", sid="S1"))], CANVAS.encode(), Choices(assignment=asked))
    assert done.content.decode() == CANVAS.replace("12.00,,60.0", "12.00,85.5,60.0")


@pytest.mark.parametrize("asked", ["", "A8", "57", "Current Score"])
def test_no_assignment_is_ever_made_or_guessed(asked: str) -> None:
    with pytest.raises(TemplateError, match=r"'A6 \(55\)', 'A7 \(56\)'"):
        canvas.fill([], CANVAS.encode(), Choices(assignment=asked))


def test_the_only_column_that_can_be_filled_in_is_the_assignment() -> None:
    read_only = CANVAS.replace("20.00", "(läs endast)")
    assert canvas.fill([mark(person("x", "1001", "canvas"))], read_only.encode()).filled == 0, "the name is another"
    assert canvas.fill([mark(person("Jane Doe", email="jane@x.org"))], read_only.encode()).filled == 1


def test_canvas_with_semicolons_and_decimal_commas() -> None:
    template = ("\ufeff" + CANVAS.replace("Doe, Jane", "Doe~ Jane").replace("Roe, Bob", "Roe~ Bob").replace("Student, Test", "x")
                .replace(",", ";").replace("~", ",").replace(".00", ",00").replace("60.0", "60,0"))  # fmt: skip
    done = canvas.fill([mark(person("doejane", "1001", "canvas"))], template.encode(), Choices(assignment="56"))
    assert done.content.decode() == template.replace("12,00;;60,0", "12,00;85,5;60,0")


def test_anonymous_numbers_are_no_numbers_of_students() -> None:
    done = canvas.fill([mark(Owner("anon", "1001", "canvas", "anonymous"))], CANVAS.encode(), Choices(assignment="56"))
    assert done.content == CANVAS.encode()
    assert "anonymous" in done.left[0].why


def test_one_student_in_two_rows_is_one_student() -> None:
    row = '"Doe, Jane",1001,S1,jane@x.org,LAB 3,,,\r\n'
    done = canvas.fill([mark(person("doejane", "1001", "canvas"))], (CANVAS + row).encode(), Choices(assignment="56"))
    assert [r[6] for r in read(done.content)[3:]] == ["85.5", "EX", "", "85.5"]


def test_what_is_no_gradebook_is_refused() -> None:
    with pytest.raises(TemplateError, match="Student and ID"):
        canvas.fill([], b"Name,Points\nJane,3\n")
    with pytest.raises(TemplateError, match="up to 20 and marks"):
        canvas.fill([mark(person("doejane", "1001", "canvas"))], CANVAS.encode(), Choices(assignment="55"))


# --- Gradescope and the plain table

TEAM = Owner("Team", "S1", "gradescope", "group", {"submission": "submission_7"},
             (person("Jane", email="j@x.org", sid="S1"), person("=cmd()", email="+b@x.org"), person("Lost")))  # fmt: skip


def test_gradescopes_grades_have_a_row_for_every_member() -> None:
    done = tables.grades([mark(TEAM)])
    assert read(done.content)[1:] == [["Jane", "S1", "j@x.org", "7", "85.5", "100"],
                                      ["'=cmd()", "", "'+b@x.org", "7", "85.5", "100"]]  # fmt: skip
    assert why(done) == {"Lost of Team (S1)": "neither a student number nor an e-mail address is known"}


def test_the_autograder_shows_results_that_were_made_elsewhere() -> None:
    results = {TEAM.key: {"score": 1.0, "tests": []}}
    done = tables.autograder_zip([mark(TEAM), mark(JANE)], results)
    with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
        assert archive.namelist() == ["setup.sh", "run_autograder", "results/7.json"]
        assert archive.read("run_autograder").startswith(b"#!")
        assert archive.getinfo("run_autograder").external_attr >> 16 & stat.S_IXUSR
        assert json.loads(archive.read("results/7.json")) == {"score": 85.5, "tests": []}
        compile(archive.read("run_autograder"), "run_autograder", "exec")
    assert why(done) == {"Jane Doe (101)": "Gradescope's number of the submission is not known"}
    document = json.loads(tables.results_json([mark(TEAM)], results).content)
    assert document == {"7": {"score": 85.5, "tests": []}}


def test_one_number_for_two_submissions_is_no_number() -> None:
    other = replace(TEAM, id="S2")
    results = {TEAM.key: {"score": 1.0}, other.key: {"score": 2.0}}
    done = tables.results_json([mark(TEAM), mark(other)], results)
    assert json.loads(done.content) == {}
    assert len(done.left) == 2


def test_the_plain_table_has_everybody_and_no_formula() -> None:
    marks = [mark(JANE, notes=("2 days late",), deducted=20.0), mark(person("=1+1"), unsettled="the grader failed")]
    done = tables.plain(marks)
    [head, jane, odd] = read(done.content)
    assert dict(zip(head, jane, strict=True))["late_deduction"] == "20"
    assert dict(zip(head, jane, strict=True))["notes"] == "2 days late"
    assert odd[0] == "'=1+1"
    assert dict(zip(head, odd, strict=True))["points"] == ""
    assert dict(zip(head, odd, strict=True))["notes"] == "the grader failed"
    assert done.filled == 1
