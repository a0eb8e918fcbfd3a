"""Bonus, `evaluation.py`: classifiers of codes, against brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...check.cases import random, seeds, sizes
from ...check.context import Context
from ...check.declaration import BONUS, declare
from ...check.expectations import as_tensor, expect, leaves_gradients_off, leaves_gradients_on, matches, preserves
from ...check.failure import EXACT, FLOAT64, INHERIT, Failure
from ...check.forall import forall

PROBE, NEIGHBOURS = "evaluation.linear_probe", "evaluation.knn_predict"


def clusters(ctx: Context, centres: Tensor, size: int, spread: float) -> tuple[Tensor, Tensor]:
    """`size` rows around each of the centres `(C, L)` in random order, and the number of each row's centre."""
    which = torch.arange(len(centres)).repeat(size)[torch.randperm(size * len(centres), generator=ctx.rng)]
    return centres[which] + spread * ctx.randn(len(which), centres.shape[1]), which


@declare(
    id="bonus.probe", question=BONUS, kind="property", points=0.25, visibility="public",
    title="linear_probe",
    asks="int64 labels (M,) that occur in training; right for classes that a hyperplane separates, and no better than "
    "a line can be where none does",
    hint="Which labels may come out, and how many? Could your classifier bend?",
    needs=(),
)  # fmt: skip
def linear_probe(ctx: Context) -> None:
    names = torch.tensor([2, 5, 9])
    centres = 8 * torch.eye(3, 4, dtype=torch.float64) + 1
    for dtype in (torch.float32, torch.float64):
        codes, which = clusters(ctx, centres, 40, 1.0)
        test, truth = clusters(ctx, centres, 50, 1.0)
        value = preserves(ctx, PROBE, codes.to(dtype), names[which], test.to(dtype))
        value = as_tensor(value, (150,), "linear_probe(…)", dtype=torch.int64)
        right = float((value == names[truth]).double().mean())
        # centres are 11 deviations apart: a row falls on the wrong side with probability 1e-8
        strange = sorted(set(value.tolist()) - set(names.tolist()))
        expect(
            not strange,
            "linear_probe predicts labels that do not occur in train_labels, which holds 2, 5 and 9",
            "2, 5 or 9",
            strange,
            hint="Which labels may come out? What is the number of a class among the classes?",
        )
        missing = sorted(set(names.tolist()) - set(value.tolist()))
        expect(right >= 0.96, "of 150 test rows in three clusters far apart, some are confused", "at least 96 % right",
               f"{100 * right:.1f} % right; never predicted: {missing or 'none'}",
               hint="What has your classifier learned from the training codes when it is asked?")  # fmt: skip
    # Five classes around a circle: a line parts each from the others, but their numbers lie along no line. A row is
    # 4.7 deviations from the next class; a regression on the numbers gets one class of five right.
    angles = 2 * math.pi * torch.arange(5, dtype=torch.float64) / 5
    circle = 8 * torch.stack([angles.cos(), angles.sin()], dim=1) + 1
    codes, which = clusters(ctx, circle, 40, 1.0)
    test, truth = clusters(ctx, circle, 30, 1.0)
    order = torch.tensor([0, 2, 4, 1, 3])
    value = as_tensor(ctx.call(PROBE, codes, order[which], test), (150,), "linear_probe(…)", dtype=torch.int64)
    right = float((value == order[truth]).double().mean())
    expect(right >= 0.9, "five classes around a circle are confused", "at least 90 % right", f"{100 * right:.0f} %",
               hint="Is class 2 between the classes 1 and 3? What is a label's number good for?")  # fmt: skip
    value = ctx.call(PROBE, codes, order[which], circle[:1])
    value = as_tensor(value, (1,), "linear_probe with a single test row", dtype=torch.int64,
                      hint="What does a squeeze do to a result of one row?")  # fmt: skip
    matches(ctx, value, order[:1], EXACT, "linear_probe of the middle of a class, asked for alone,",
            hint="May the label of one test row depend on which others are asked for?")  # fmt: skip
    # a common class near the mean of all, and two rare ones, each asked for alone: without an offset, or centred by the
    # mean of what is asked, the codes no longer tell the class
    which = torch.arange(3).repeat_interleave(torch.tensor([200, 10, 10]))
    codes = centres[which] + ctx.randn(220, 4)
    asked = [centres[number] + ctx.randn(40, 4) for number in range(3)]
    together = as_tensor(ctx.call(PROBE, codes, names[which], torch.cat(asked)), (120,), "linear_probe(…)",
                         dtype=torch.int64)  # fmt: skip
    for number in range(3):
        value = as_tensor(
            ctx.call(PROBE, codes, names[which], asked[number]), (40,), "linear_probe(…)", dtype=torch.int64
        )
        same = float((value == together[40 * number : 40 * number + 40]).double().mean())
        expect(same >= 0.9, f"40 test rows of class {int(names[number])} get other labels when they are asked "
                        "for alone than "
               "together with 80 of other classes", "the same labels", f"{100 * (1 - same):.0f} % of the labels differ",
               hint="May the label of one test row depend on which others are asked for?")  # fmt: skip
        right = float((value == names[number]).double().mean())
        expect(right >= 0.9, f"trained on three classes of 200, 10 and 10 rows, linear_probe confuses test rows "
                        "of class "
               f"{int(names[number])}", "at least 90 % right", f"{100 * right:.0f} %",
               hint="Must every boundary between classes pass through one point, and who decides which?")  # fmt: skip
    # one feature, all codes on one side of 0; without an offset the boundary lies at 0, or at the mean where the rows
    # are centred, which is among the common class
    for common, rare in ((0, 1), (1, 0)):
        which = torch.cat([torch.full((200,), common), torch.full((20,), rare)])
        centre = torch.tensor([1.0, 3.0], dtype=torch.float64)
        codes = centre[which][:, None] + 0.3 * ctx.randn(220, 1)
        for asked_for in (common, rare):
            test = centre[asked_for] + 0.3 * ctx.randn(200, 1)
            value = as_tensor(ctx.call(PROBE, codes, names[which], test), (200,), "linear_probe(…)", dtype=torch.int64)
            right = float((value == names[asked_for]).double().mean())
            expect(right >= 0.9, f"one feature, class {int(names[0])} around 1, class {int(names[1])} around 3, "
                            "200 rows of "
                   f"class {int(names[common])} and 20 of the other in training: linear_probe confuses test rows "
                   "of class "
                   f"{int(names[asked_for])}", "at least 90 % right", f"{100 * right:.0f} %",
                   hint="At which code does your classifier change its mind, and can that be anywhere?")  # fmt: skip
    corners = torch.tensor([[1.0, 1.0], [-1, -1], [1, -1], [-1, 1]], dtype=torch.float64) * 3
    codes, which = clusters(ctx, corners, 40, 0.5)
    test, truth = clusters(ctx, corners, 50, 0.5)
    value = as_tensor(ctx.call(PROBE, codes, which // 2, test), (200,), "linear_probe(…)", dtype=torch.int64)
    right = float((value == truth // 2).double().mean())
    expect(right <= 0.85, "the probe solves what no line can: it is not linear", "at most three of four corners",
               f"{100 * right:.1f} % of an exclusive or", hint="Could your classifier bend?")  # fmt: skip


TIE = "Two labels occur equally often among these neighbours. What does the docstring say of that?"


def elected(labels: Sequence[int]) -> list[int]:
    """The labels that occur most often, the smallest first."""
    most = max(map(labels.count, labels))
    return sorted({label for label in labels if labels.count(label) == most})


def other_votes(found: list[int], codes: Tensor, labels: Tensor, test: Tensor, k: int) -> tuple[str, str]:
    """Whose votes explain all predictions, and the question that this raises; nothing if nobody's do."""
    apart = test[:, None] - codes[None]
    square = apart.square().sum(-1)
    normed = torch.nn.functional.normalize(codes, dim=1) @ torch.nn.functional.normalize(test, dim=1).T
    many, which = "How many neighbours vote?", "Which distance is asked for?"
    near = labels[square.argsort(1)]
    readings = [
        ("the label of the single nearest code", many, near[:, :1]),
        ("the majority of the farthest codes", "Which end of the sorted distances is near?",
         labels[square.argsort(1, descending=True)[:, :k]]),
        ("the majority of the codes at the smallest angles", which, labels[(-normed.T).argsort(1)[:, :k]]),
        ("the majority by sums of absolute differences", which, labels[apart.abs().sum(-1).argsort(1)[:, :k]]),
        ("the majority by the largest difference", which, labels[apart.abs().amax(-1).argsort(1)[:, :k]]),
        *((f"the majority of {n} neighbours", many, near[:, :n]) for n in (k - 1, k + 1, 5, 3, 10) if n != k and n > 0),
    ]  # fmt: skip
    fitting = {words: question for words, question, votes in readings
               if all(got in elected(row) for got, row in zip(found, votes.tolist(), strict=True))}  # fmt: skip
    if fitting:  # a few votes may have several explanations: then all their questions are asked
        return " or ".join(fitting), " Or: ".join(dict.fromkeys(fitting.values()))
    means = near[:, :k].double().mean(1)
    if all(abs(got - float(mean)) <= 1 for got, mean in zip(found, means, strict=True)):
        return "the mean of the labels, as a whole number", "Are labels numbers that can be averaged, or names?"
    return "", INHERIT


@declare(
    id="bonus.neighbours", question=BONUS, kind="property", points=0.25, visibility="public",
    title="knn_predict",
    asks="the label most frequent among the k nearest training codes in Euclidean distance, the smaller one on a tie, "
    "for every test code however many there are",
    hint="With k = 1 and the training codes themselves as test codes, what must come out? And how many labels?",
    needs=(),
)  # fmt: skip
def neighbours(ctx: Context) -> None:
    names = torch.tensor([1, 4, 7, 30])

    def body(rows: int, test_rows: int, dim: int, k: int, seed: int) -> None:
        k = min(k, rows)
        codes, test = random(seed, rows, dim) * 3 + 1, random(seed + 1, test_rows, dim) * 3 + 1
        labels = names[torch.randint(0, 4, (rows,), generator=torch.Generator().manual_seed(seed))]
        order = (test[:, None] - codes[None]).square().sum(-1).argsort(1)[:, :k]
        options = {} if k == 5 else {"k": k}
        value = preserves(ctx, NEIGHBOURS, codes, labels, test, **options)
        value = as_tensor(value, (test_rows,), f"knn_predict of {test_rows} test rows", dtype=torch.int64,
                          hint="How many labels should come out for so many rows, also for one?")  # fmt: skip
        votes = labels[order].tolist()
        wrong = [row for row, got in enumerate(value.tolist()) if got not in elected(votes[row])]
        if not wrong:
            return
        row = wrong[0]
        words, question = other_votes(value.tolist(), codes, labels, test, k) if test_rows > 3 else ("", INHERIT)
        raise Failure(
            f"knn_predict with k {'left out (5)' if not options else f'= {k}'}: the {k} nearest training codes "
            "of test row "
            f"{row} have the labels {votes[row]}", f"{elected(votes[row])[0]}", str(value.tolist()[row]), looks=words,
            hint=question,
        )  # fmt: skip

    for k in (5, 3, 1):
        body(20, 12, 3, k, ctx.seed + k)
    forall(ctx, body, rows=sizes(6, 20), test_rows=sizes(1, 6), dim=sizes(1, 4), k=sizes(1, 7), seed=seeds(),
           examples=25)  # fmt: skip
    # ties: the nearest, the first and the last code and most of the codes have the larger label
    codes, labels = torch.tensor([[1.0], [2], [3], [4], [50], [60]]), torch.tensor([30, 4, 4, 30, 1, 30])
    for k, winner in ((2, 4), (4, 4)):
        matches(ctx, ctx.call(NEIGHBOURS, codes, labels, torch.zeros(1, 1), k=k), torch.tensor([winner]), EXACT,
                    f"knn_predict with k={k}, labels 30, 4, 4, 30, 1, 30 by distance", hint=TIE)  # fmt: skip
    codes, test = ctx.randn(60, 3), ctx.randn(1130, 3)  # a remainder, whatever the size of parts
    labels = names[ctx.randint(0, 4, 60)]
    near = labels[(test[:, None] - codes[None]).square().sum(-1).topk(3, largest=False).indices]
    wanted = torch.tensor([elected(row)[0] for row in near.tolist()])
    for rows in (1130, 1):
        value = ctx.call(NEIGHBOURS, codes, labels, test[:rows], k=3)
        if isinstance(value, Tensor) and value.shape != (rows,):
            raise Failure(f"knn_predict of {rows} test rows gives another number of labels", f"({rows},)",
                          f"{tuple(value.shape)}", hint="Which test rows do you take at a time, and which of them are "
                          "left?")  # fmt: skip
        matches(ctx, value, wanted[:rows], EXACT, f"knn_predict of {rows} test codes, k=3",
                hint="Do the labels depend on how many rows are asked for at once?")  # fmt: skip
    # by distance: with five neighbours the majority is 4, with more or fewer it is 1 (or there is none)
    near = torch.tensor([1, 1, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1])
    order = torch.randperm(12, generator=ctx.rng)
    codes, test = (1.0 + order)[:, None], torch.zeros(2, 1)
    value = ctx.call(NEIGHBOURS, codes, near[order], test)
    matches(ctx, value, torch.tensor([4, 4]), EXACT, "knn_predict with k left out, where the 5 nearest labels are "
            "1, 1, 4, 4, 4 and all farther ones 1,", hint="How many neighbours vote if nobody says?")  # fmt: skip
    # nearer in Euclidean distance than (5, 0), but not in sums of differences; and the other way round by the largest
    codes, test = torch.tensor([[3.0, 3.0], [5.0, 0.0], [4.2, 4.2]]), torch.zeros(1, 2)
    value = ctx.call(NEIGHBOURS, codes, torch.tensor([1, 4, 7]), test, k=1)
    matches(ctx, value, torch.tensor([1]), EXACT, "knn_predict with k=1 where (3, 3), (5, 0) and (4.2, 4.2) are near 0",
            hint="Which distance is asked for?")  # fmt: skip
    codes, labels = ctx.randn(30, 4, dtype=torch.float32), names[ctx.randint(0, 4, 30)]
    matches(
        ctx,
        ctx.call(NEIGHBOURS, codes, labels, codes, k=1),
        labels,
        FLOAT64,
        "knn_predict of the training codes with k=1",
        hint="Which training code is nearest to a training code?",
    )
    leaves_gradients_on(ctx, "knn_predict")
    leaves_gradients_off(ctx, NEIGHBOURS, codes, labels, codes)
