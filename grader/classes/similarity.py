"""Pairs of submissions that are suspiciously alike: a reason to read both, never a verdict.

A run of `GRAM` tokens (see `tokens`) that two submissions share counts unless the starter has it too, or much of the
class: what is left of a submission is its `own`. Of a pair, the longest shared runs are taken first and each token
once, wherever in the files it stands, so that neither order nor file hides a copy; what they cover of its own is the
`share`. How `GRAM` and the thresholds were found: docs/decisions/0022-similarity.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from .tokens import Tokens, tokens_of

GRAM = 12  # tokens: two or three lines
WHOLE = 0.6  # of two submissions: honest ones share less, disguised copies more
MODULE, LARGE = 0.7, 400  # of a module of so many own tokens
SMALL_MODULE, LEAST = 0.9, 150  # of a smaller one, where honest ones vary more; of fewer tokens a share says nothing
COMMON_SHARE, COMMON_LEAST = 0.25, 10  # what more works than these have is what everybody writes
HINT = 0.3  # a pair that shares so many of its runs is looked at closely
MOST_PAIRS = 2000  # that are looked at closely
FREQUENT = 12  # a run that stands more often than this in one work is no trace of anything
MIXER = np.uint64(0x9E3779B97F4A7C15)
Numbers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Spread = Callable[[Callable[[str], Tokens], Sequence[str]], Iterable[Tokens]]


@dataclass(frozen=True)
class Work:
    """What somebody handed in: `key` tells owners apart, `name` is shown."""

    key: str
    name: str
    sources: Mapping[str, str]


@dataclass(frozen=True)
class Region:
    """A run of tokens that both have: the module on either side, and from which character to which."""

    tokens: int
    first: tuple[str, int, int]
    second: tuple[str, int, int]


@dataclass(frozen=True)
class Share:
    """How many of one module's own tokens the other submission has, too."""

    module: str
    matched: int
    own: int

    @property
    def ratio(self) -> float:
        """From 0 to 1; 0 where nothing is its own."""
        return self.matched / self.own if self.own else 0.0

    @property
    def high(self) -> bool:
        """Whether honest work never shares so much of a module of this size."""
        return self.own >= LEAST and self.ratio >= (MODULE if self.own >= LARGE else SMALL_MODULE)


@dataclass(frozen=True)
class Pair:
    """Two submissions, by place in what was compared; `shares` by module for either side."""

    first: int
    second: int
    shares: tuple[tuple[Share, ...], tuple[Share, ...]]
    regions: tuple[Region, ...] = field(repr=False)

    @property
    def whole(self) -> float:
        """The share of all modules together, of the one of whom more is shared."""
        return max(side.ratio for side in map(together, self.shares))

    @property
    def alike(self) -> tuple[str, ...]:
        """The modules that alone are reason to look."""
        both = [share.module for side in self.shares for share in side if share.high]
        return tuple(dict.fromkeys(both))

    @property
    def suspicious(self) -> bool:
        """Whether the two should be read side by side."""
        whole = any(side.own >= LEAST and side.ratio >= WHOLE for side in map(together, self.shares))
        return whole or bool(self.alike)


@dataclass(frozen=True)
class Similarity:
    """`pairs` that are suspicious, the most alike first; `copies`, groups whose tokens are the same; how many works
    had anything of their own to compare; `shares` of all pairs that were looked at closely; how many were not."""

    pairs: tuple[Pair, ...]
    copies: tuple[tuple[int, ...], ...]
    compared: int
    shares: tuple[float, ...]
    left_off: int


def together(side: Sequence[Share]) -> Share:
    """All modules as one."""
    return Share("", sum(share.matched for share in side), sum(share.own for share in side))


class Stream:
    """The tokens of one work, its modules behind each other, and the runs in them; what is not its own is taken out by
    `own`."""

    def __init__(self, files: Mapping[str, Tokens]) -> None:
        self.modules = sorted(files)
        self.files = [files[module] for module in self.modules]
        # a gap between two modules, so that no run goes on from one into the next
        self.begins = np.cumsum([0, *(len(file) + GRAM for file in self.files)])
        hashes = [runs(file.symbols) for file in self.files]
        places = [begin + np.arange(len(found)) for begin, found in zip(self.begins, hashes, strict=False)]
        self.hashes: Hashes = np.concatenate([*hashes, np.empty(0, np.uint64)])
        self.places: Numbers = np.concatenate([*places, np.empty(0, np.int64)]).astype(np.int64)
        self.mine = np.zeros(len(self), bool)

    def __len__(self) -> int:
        return int(self.begins[-1])

    @property
    def identity(self) -> tuple[tuple[str, bytes], ...]:
        """The same for two works whose tokens are the same."""
        return tuple((module, file.symbols.tobytes()) for module, file in zip(self.modules, self.files, strict=True))

    def own(self, everybodys: Hashes) -> None:
        """Keeps what is not everybody's."""
        kept = ~np.isin(self.hashes, everybodys)
        self.hashes, self.places = self.hashes[kept], self.places[kept]
        self.mine = covered(self.places, GRAM, len(self))

    def shares(self, matched: NDArray[np.bool_]) -> tuple[Share, ...]:
        """By module, what of its own is matched."""
        found = []
        for module, start, end in zip(self.modules, self.begins[:-1], self.begins[1:], strict=True):
            own = self.mine[start:end]
            found.append(Share(module, int((own & matched[start:end]).sum()), int(own.sum())))
        return tuple(found)

    def place(self, start: int, length: int) -> tuple[str, int, int]:
        """The module of a run, and the characters from which and to which it goes."""
        index = int(np.searchsorted(self.begins, start, side="right")) - 1
        file, at = self.files[index], start - int(self.begins[index])
        return self.modules[index], int(file.starts[at]), int(file.ends[at + length - 1])


def runs(symbols: Hashes) -> Hashes:
    """A number for every run of `GRAM` tokens."""
    count = len(symbols) - GRAM + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    found = np.zeros(count, np.uint64)
    for step in range(GRAM):  # wraps around, as it is meant to
        found = found * MIXER + symbols[step : step + count]
    return found


def covered(places: Numbers, length: int, total: int) -> NDArray[np.bool_]:
    """Which of `total` tokens lie in a run of `length` that begins at one of the places."""
    change = np.zeros(total + 1, np.int64)
    np.add.at(change, places, 1)
    np.add.at(change, places + length, -1)
    return np.cumsum(change)[:-1] > 0


def compare(works: Sequence[Work], starter: Mapping[str, str], spread: Spread = map) -> Similarity:
    """All pairs of works by different owners; `starter` holds the text that was handed out. Most of the time goes into
    `tokens_of` for every text, which `spread` may do in several processes."""
    texts = list(dict.fromkeys(text for sources in (starter, *(w.sources for w in works)) for text in sources.values()))
    made = dict(zip(texts, spread(tokens_of, texts), strict=True))
    streams = [Stream({module: made[text] for module, text in work.sources.items()}) for work in works]
    given = Stream({module: made[text] for module, text in starter.items()}).hashes
    alike: dict[object, list[int]] = defaultdict(list)
    for index, stream in enumerate(streams):
        stream.own(given)
        if len(stream.hashes):
            alike[stream.identity].append(index)
    everybodys = frequent([streams[group[0]] for group in alike.values()])
    for stream in streams:
        stream.own(everybodys)
    copies = [tuple(group) for group in alike.values() if len({works[index].key for index in group}) > 1]
    candidates = promising(works, streams)
    pairs = [closely(first, second, streams) for first, second in candidates[:MOST_PAIRS]]
    found = sorted((pair for pair in pairs if pair.suspicious), key=lambda pair: (-pair.whole, pair.first, pair.second))
    return Similarity(
        tuple(found), tuple(copies), sum(len(stream.hashes) > 0 for stream in streams),
        tuple(sorted((pair.whole for pair in pairs), reverse=True)), max(0, len(candidates) - MOST_PAIRS),
    )  # fmt: skip


def frequent(streams: Sequence[Stream]) -> Hashes:
    """The runs that more of these have than could have copied it. Copies are to come once, or they hide themselves."""
    every = np.concatenate([*(np.unique(stream.hashes) for stream in streams), np.empty(0, np.uint64)])
    values, counts = np.unique(every, return_counts=True)
    return values[counts > max(COMMON_LEAST, COMMON_SHARE * len(streams))]


def promising(works: Sequence[Work], streams: Sequence[Stream]) -> list[tuple[int, int]]:
    """Pairs that share many runs, by what is shared of a whole work or of a module; the most alike first."""
    values = np.unique(np.concatenate([*(stream.hashes for stream in streams), np.empty(0, np.uint64)]))
    if not len(values):
        return []
    has = incidence([stream.hashes for stream in streams], values)
    parts: list[Hashes] = []
    owner: list[int] = []
    for index, stream in enumerate(streams):
        cuts = np.searchsorted(stream.places, stream.begins)
        modules = [stream.hashes[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        large = [hashes for hashes in modules if len(hashes) >= LEAST]
        parts += [stream.hashes, *large]
        owner += [index] * (1 + len(large))
    rows = incidence(parts, values)
    sizes = np.maximum(1, np.asarray(rows.sum(axis=1)).ravel())
    shared = (rows @ has.T).tocoo()
    best: dict[tuple[int, int], float] = {}
    for row, other, count in zip(shared.row, shared.col, shared.data, strict=True):
        one, ratio = owner[row], count / sizes[row]
        if ratio >= HINT and works[one].key != works[other].key:
            pair = (min(one, int(other)), max(one, int(other)))
            best[pair] = max(ratio, best.get(pair, 0.0))
    return sorted(best, key=lambda pair: (-best[pair], pair))


def incidence(sets: Sequence[Hashes], values: Hashes) -> csr_matrix:
    """Which of the sorted values each set has, as a row of ones."""
    columns = [np.searchsorted(values, np.unique(found)) for found in sets]
    ends = np.cumsum([0, *(len(found) for found in columns)])
    joined = np.concatenate([*columns, np.empty(0, np.int64)])
    return csr_matrix((np.ones(len(joined), np.int32), joined, ends), shape=(len(sets), len(values)))


def closely(first: int, second: int, streams: Sequence[Stream]) -> Pair:
    """What two works share."""
    one, two = streams[first], streams[second]
    found = tiles(one, two)
    matched = np.zeros(len(one), bool), np.zeros(len(two), bool)
    for here, there, length in found:
        matched[0][here : here + length] = True
        matched[1][there : there + length] = True
    regions = tuple(Region(length, one.place(here, length), two.place(there, length)) for here, there, length in found)
    return Pair(first, second, (one.shares(matched[0]), two.shares(matched[1])), regions)


def tiles(one: Stream, two: Stream) -> list[tuple[int, int, int]]:
    """Runs that both have, as (place in one, place in two, length), the longest first and no token twice: the greedy
    string tiling of Wise (1993)."""
    order = np.argsort(two.hashes, kind="stable")
    ordered = two.hashes[order]
    low, high = np.searchsorted(ordered, one.hashes, "left"), np.searchsorted(ordered, one.hashes, "right")
    counts = high - low
    counts[counts > FREQUENT] = 0
    here = np.repeat(one.places, counts)
    within = np.arange(len(here)) - np.repeat(np.cumsum(counts) - counts, counts)
    there = two.places[order[np.repeat(low, counts) + within]]
    free = np.ones(len(one), bool), np.ones(len(two), bool)
    found: list[tuple[int, int, int]] = []
    for start, other, length in sorted(diagonals(here, there), key=lambda run: (-run[2], run[0], run[1])):
        open_here = free[0][start : start + length] & free[1][other : other + length]
        for begin, end in stretches(open_here):
            if end - begin >= GRAM:
                found.append((start + begin, other + begin, end - begin))
                free[0][start + begin : start + end] = False
                free[1][other + begin : other + end] = False
    return found


def diagonals(here: Numbers, there: Numbers) -> list[tuple[int, int, int]]:
    """Runs of `GRAM` tokens that both have, joined where one goes on in the next."""
    if not len(here):
        return []
    order = np.lexsort((here, here - there))
    here, there = here[order], there[order]
    breaks = np.flatnonzero((np.diff(here - there) != 0) | (np.diff(here) > GRAM)) + 1
    starts = np.concatenate([[0], breaks])
    ends = np.concatenate([breaks, [len(here)]]) - 1
    lengths = here[ends] - here[starts] + GRAM
    return list(zip(here[starts].tolist(), there[starts].tolist(), lengths.tolist(), strict=True))


def stretches(free: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """From where to where it is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
