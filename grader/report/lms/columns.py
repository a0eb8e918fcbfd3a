"""Which column of Moodle's grading worksheet is which, in the languages that it is downloaded in.

Moodle's importer looks for the same words in the language of whoever uploads the sheet, so that none may change here.
What is in no table is recognised by what stands in it, where only one column can be meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from .marks import TemplateError
from .sheet import Row, Sheet

Role = Literal["identifier", "name", "email", "number", "group", "grade", "maximum", "changeable", "scale", "feedback"]
ROLES: tuple[Role, ...] = ("identifier", "name", "email", "number", "group", "grade", "maximum", "changeable", "scale",
                           "feedback")  # fmt: skip

# the words of Moodle 2.5 to 5, in: en, de, fr, es, pt and pt_br, it, nl, pl, ru, zh_cn and zh_tw, ja, then others
HEADS: Mapping[Role, tuple[str, ...]] = {
    "identifier": (
        "Identifier", "ID", "Identifiant", "Identificador", "Identificativo", "Identificatie", "Identyfikator",
        "Идентификатор", "识别码", "識別碼", "标识符", "编号", "識別子", "Identifikator", "Identifierare", "Tunniste",
        "Azonosító", "Ідентифікатор", "Kimlik",
    ),
    "name": (
        "Full name", "Vollständiger Name", "Name", "Nom complet", "Nombre completo", "Nombre", "Nome completo", "Nome",
        "Cognome Nome", "Nome / Cognome", "Volledige naam", "Pełna nazwa", "Imię i nazwisko", "Полное имя", "全名",
        "姓名", "フルネーム", "氏名", "Fullständigt namn", "Fulde navn", "Fullt navn", "Teljes név", "Повне ім'я",
    ),
    "email": (
        "Email address", "E-mail address", "Email", "E-Mail-Adresse", "E-Mail", "Adresse de courriel", "Adresse e-mail",
        "Courriel", "Dirección de correo", "Dirección Email", "Correo electrónico", "Dirección de correo electrónico",
        "Endereço de e-mail", "Endereço de email", "Endereço de correio eletrónico", "Indirizzo email",
        "Indirizzo e-mail", "E-mailadres", "Adres e-mail", "Adres email", "Адрес электронной почты", "Email地址",
        "电子邮件地址", "电子邮箱", "電子郵件信箱", "電子郵件", "メールアドレス", "E-postadress", "E-mailadresse",
        "E-mail cím", "Електронна пошта",
    ),
    "number": (
        "ID number", "ID-Nummer", "Matrikelnummer", "Numéro d'identification", "Número de ID", "Número ID",
        "Número de identificação", "Codice identificativo", "Numero ID", "ID-nummer", "Numer ID", "Numer albumu",
        "Индивидуальный номер", "学号", "ID号", "學號", "ID ナンバー", "IDナンバー", "Student ID", "Student number",
    ),
    "group": (
        "Group", "Groups", "Gruppe", "Gruppen", "Groupe", "Groupes", "Grupo", "Grupos", "Gruppo", "Gruppi", "Groep",
        "Groepen", "Grupa", "Группа", "小组", "组", "群組", "分組", "グループ",
    ),
    "grade": (
        "Grade", "Bewertung", "Note", "Calificación", "Nota", "Avaliação", "Valutazione", "Cijfer", "Beoordeling",
        "Ocena", "Оценка", "成绩", "成績", "分數", "评分", "評点", "評定", "Betyg", "Karakter", "Arvosana",
        "Osztályzat", "Оцінка", "Qualificació",
    ),
    "maximum": (
        "Maximum grade", "Bestwertung", "Maximale Bewertung", "Note maximale", "Calificación máxima",
        "Puntuación máxima", "Nota máxima", "Avaliação máxima", "Valutazione massima", "Punteggio massimo",
        "Voto massimo", "Maximumcijfer", "Maximum cijfer", "Maximale cijfer", "Maximale beoordeling",
        "Maksymalna ocena", "Ocena maksymalna", "Максимальная оценка", "最高分", "最高成绩", "最大分數", "最高成績",
        "最大評点", "最大評定", "Maxbetyg", "Максимальна оцінка",
    ),
    "scale": ("Scale", "Skala", "Barème", "Escala", "Scala", "Schaal", "Шкала", "等级", "量尺", "評価尺度"),
    "changeable": (
        "Grade can be changed", "Bewertung kann geändert werden", "La note peut être modifiée",
        "La calificación puede cambiarse", "La calificación puede ser cambiada", "La calificación se puede cambiar",
        "A nota pode ser alterada", "A nota pode ser alterada.", "Nota pode ser alterada",
        "A avaliação pode ser alterada", "La valutazione può essere cambiata", "La valutazione può essere modificata",
        "Cijfer kan gewijzigd worden", "Cijfer kan worden gewijzigd", "Beoordeling kan gewijzigd worden",
        "Beoordeling kan worden gewijzigd", "Ocena może być zmieniona", "Ocena może zostać zmieniona",
        "Można zmienić ocenę", "Оценка может быть изменена", "Оценку можно изменить", "允许更改成绩", "成绩可以更改",
        "成績可以更改", "成績可以被更改", "評点変更可", "評点を変更できます", "評定変更可",
    ),
    "feedback": (
        "Feedback comments", "Feedback als Kommentar", "Feedback-Kommentare", "Feedback par commentaires",
        "Commentaires de feedback", "Feedback par commentaire", "Comentarios de retroalimentación",
        "Comentarios de la retroalimentación", "Comentarios", "Comentários de feedback", "Comentários ao trabalho",
        "Feedback via comentários", "Comentários", "Commenti", "Commenti di feedback", "Feedback opmerkingen",
        "Feedbackopmerkingen", "Feedback commentaar", "Opmerkingen bij feedback", "Komentarz zwrotny",
        "Komentarze zwrotne", "Informacja zwrotna", "Отзыв в виде комментария", "Комментарии к отзыву",
        "Комментарии в отзыве", "反馈评语", "反馈意见", "評論回饋", "回饋評論", "回饋意見", "フィードバックコメント",
        "Kommentarer",
    ),
}  # fmt: skip
NO = frozenset(
    {"no", "nein", "non", "não", "nee", "nie", "нет", "否", "いいえ", "nej", "nei", "ei", "nem", "ні", "hayır"}
)
YES = frozenset(
    {"yes", "ja", "oui", "sí", "si", "sì", "sim", "tak", "да", "是", "はい", "kyllä", "igen", "так", "evet"}
)
COMMA_LANGUAGES = frozenset({
    "bewertung", "note", "calificación", "valutazione", "cijfer", "beoordeling", "ocena", "оценка", "avaliação",
})  # fmt: skip
PARTICIPANT = re.compile(r"(\D*?)\s*(\d{1,18})")
WORD = re.compile(r"[^\W\d_][^\d_=:;,]*")
NUMBER = re.compile(r"-?\d{1,9}(?:[.,]\d{1,9})?")


def folded(text: str) -> str:
    """A name of a column without case, kinds of blanks, apostrophes and widths."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return " ".join(plain.split()).strip("\ufeff")


KNOWN: Mapping[str, Role] = {folded(name): role for role, names in HEADS.items() for name in names}


def is_known(text: str) -> bool:
    """Whether a text is the name of a column of the worksheet."""
    return folded(text) in KNOWN


def number_of(text: str) -> float | None:
    """A grade as a system writes it, with a point or a comma; None for anything else."""
    plain = text.strip().replace("\u00a0", "")
    return float(plain.replace(",", ".")) if NUMBER.fullmatch(plain) else None


def participant(text: str) -> str:
    """The number in ``Participant 123`` (``Teilnehmer/in123``, ``参与者123``); nothing where there is none."""
    match = PARTICIPANT.fullmatch(text.strip())
    return match[2].lstrip("0") or "0" if match else ""


def find_columns(sheet: Sheet, named: Mapping[str, str]) -> dict[Role, int]:
    """The place of every column that is there. `named` gives names of columns that somebody has looked up.

    Raises TemplateError where `identifier`, `grade` or `feedback` is missing, or two columns could be meant.
    """
    heads = [folded(cell.text) for cell in sheet.head.cells]
    found: dict[Role, int] = {}
    for role in ROLES:
        if role in named:
            places = [at for at, head in enumerate(heads) if head == folded(named[role])]
            if len(places) != 1:
                raise TemplateError(f"{len(places)} columns are called {named[role]!r}; there are {listed(sheet.head)}")
        else:
            places = [at for at, head in enumerate(heads) if KNOWN.get(head) == role]
        if role == "identifier" and len(places) != 1:
            places = [at for at in places if looks_like_participants(sheet.rows, at)]
        if len(places) > 1:
            raise TemplateError(
                f"{len(places)} columns could be the {role}: {', '.join(repr(head_at(sheet, at)) for at in places)}; "
                f'say which in the configuration: [export.columns] {role} = "…"'
            )
        if places:
            found[role] = places[0]
    by_content(sheet, found)
    for role in ("identifier", "grade", "feedback"):
        if role not in found:
            raise TemplateError(
                f"line {sheet.head.line}: no column is the {role}; there are {listed(sheet.head)}. Is it the grading "
                "worksheet of the assignment, with feedback comments switched on? If it is in a language that is not "
                f'known here, say in the configuration: [export.columns] {role} = "…"'
            )
    return found


def listed(head: Row) -> str:
    """Names of columns for a message."""
    return ", ".join(repr(cell.text[:60]) for cell in head.cells[:30])


def by_content(sheet: Sheet, found: dict[Role, int]) -> None:
    """Adds columns whose names are in no table, where what stands in them leaves no doubt."""
    free = [at for at in range(len(sheet.head.cells)) if at not in found.values() and not is_known(head_at(sheet, at))]

    def only(role: Role, holds: Callable[[int], bool]) -> None:
        places = [at for at in free if role not in found and holds(at)]
        if len(places) == 1:
            found[role] = places[0]
            free.remove(places[0])

    only("identifier", lambda at: looks_like_participants(sheet.rows, at))
    only("email", lambda at: all_of(sheet.rows, at, lambda text: bool(re.fullmatch(r"[^@\s]+@[^@\s]+", text))))
    if "maximum" not in found and "scale" not in found:
        only("maximum", lambda at: at > 0 and is_maximum(sheet.rows, at, found.get("grade")))
    if "maximum" in found:
        before = found["maximum"] - 1
        only("grade", lambda at: at == before and all(is_grade(row.text(at)) for row in sheet.rows))
    last = len(sheet.head.cells) - 1
    only("feedback", lambda at: at == last and "grade" in found and not any(row.text(at) for row in sheet.rows))


def head_at(sheet: Sheet, column: int) -> str:
    """The name of a column."""
    return sheet.head.cells[column].text


def all_of(rows: Sequence[Row], column: int, holds: Callable[[str], bool]) -> bool:
    """Whether something holds for all cells of a column that are not empty, and there are some."""
    texts = [text for row in rows if (text := row.text(column))]
    return bool(texts) and all(map(holds, texts))


def looks_like_participants(rows: Sequence[Row], column: int) -> bool:
    """One word and a number in every row, the word always the same, the number never."""
    matches = [PARTICIPANT.fullmatch(row.text(column)) for row in rows]
    if not matches or not all(match and WORD.fullmatch(match[1].strip()) for match in matches):
        return False
    words = {match[1].strip() for match in matches if match}
    return len(words) == 1 and len({match[2] for match in matches if match}) == len(matches)


def is_maximum(rows: Sequence[Row], column: int, grade: int | None) -> bool:
    """The same number above zero in every row, to the right of the grade or of cells that could be one."""
    texts = {row.text(column) for row in rows}
    if len(texts) != 1 or (grade is not None and column != grade + 1):
        return False
    return bool(number_of(texts.pop())) and all(is_grade(row.text(column - 1)) for row in rows)


def is_grade(text: str) -> bool:
    """Empty, or a number."""
    return not text or number_of(text) is not None


def changeable(text: str) -> bool | None:
    """What stands under "Grade can be changed"; None where it is not understood."""
    word = folded(text)
    return True if word in YES else False if word in NO else None


def comma_wanted(sheet: Sheet, columns: Sequence[int]) -> bool:
    """Whether decimals stand behind a comma in these columns; where they show none, what the language of the head and
    the separator make likely. A point is understood everywhere, a comma is not."""
    signs = {sign for row in sheet.rows for at in columns for sign in ".," if is_decimal(row.text(at), sign)}
    if len(signs) == 1:
        return signs == {","}
    if signs:
        return False
    german_like = any(folded(head_at(sheet, at)) in COMMA_LANGUAGES for at in columns)
    return sheet.separator == ";" and german_like


def is_decimal(text: str, sign: str) -> bool:
    """Whether a number has decimals behind this sign."""
    return sign in text and number_of(text) is not None
