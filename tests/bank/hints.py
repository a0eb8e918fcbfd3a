"""What must be asked of a student with a mistake: part of the question that is shown, by the mistake's id."""

from __future__ import annotations

from .bonus.hints import HINTS as BONUS
from .q01.hints import HINTS as Q01
from .q02.hints import HINTS as Q02
from .q03.hints import HINTS as Q03
from .q04.hints import HINTS as Q04
from .q05.hints import HINTS as Q05
from .q06.hints import HINTS as Q06
from .q07.hints import HINTS as Q07
from .q08.hints import HINTS as Q08
from .q09.hints import HINTS as Q09
from .q10.hints import HINTS as Q10

HINTS: dict[str, str] = {**BONUS, **Q01, **Q02, **Q03, **Q04, **Q05, **Q06, **Q07, **Q08, **Q09, **Q10}
