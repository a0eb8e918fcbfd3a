"""Worksheets of Moodle: bytes, dialects, languages, and templates that cannot be used."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grader.report.lms import moodle
from grader.report.lms.columns import HEADS, KNOWN, folded, participant
from grader.report.lms.filling import Choices
from grader.report.lms.marks import TemplateError, as_html, written
from grader.report.lms.sheet import MAX_BYTES, read_sheet

from .marked import HEAD, JANE, mark, person, read, row_of, sheet_of, why

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
