"""Question 2: what must be asked of a student with each mistake, in the first failing check that they would read."""

from __future__ import annotations

# fmt: off
HINTS: dict[str, str] = {
    "q2-standard-twice":
        "Your values are exactly twice too large. Check against an integral in one dimension: which factor "
        "is missing?",
    "q2-standard-sign": "Can one distribution be closer to another than it is to itself?",
    "q2-standard-mean-over-latents":
        "Your values are off by the number of dimensions. What should adding a dimension do to the divergence?",
    "q2-standard-batch-mean":
        "Should the examples of a batch be combined? How many numbers belong to a batch of five?",
    "q2-standard-batch-sum": "Your result is one number for the batch, and grows with its size. Is that asked for?",
    "q2-standard-wrong-axis": "Which axis holds the examples, and along which of the two do you sum?",
    "q2-standard-log-sigma":
        "Make sigma twice as large: by how much does logvar change, and does your code agree with that?",
    "q2-standard-sigma": "The definition has sigma squared in one term: what is the unit of yours, in metres?",
    "q2-standard-plus-logvar":
        "Let N(mu, sigma^2) become very narrow: which term grows then, and which sign has it in your code?",
    "q2-standard-absolute-mean": "How does the mean enter: does its distance count as it should for 2 and for -2?",
    "q2-standard-no-mean": "Shift one mean far away. Does your divergence notice?",
    "q2-standard-reversed":
        "Under which of the two distributions is the expectation taken? It is not the same the other way round.",
    "q2-standard-epsilon":
        "You are given the logarithm of the variance. Is there a need to take a logarithm again, or to "
        "protect one?",
    "q2-standard-clamped-logvar":
        "You are given the logarithm of the variance. Is there a need to take a logarithm again, or to "
        "protect one?",
    "q2-standard-detached":
        "Follow the number from the argument to the result: at which step does autograd lose sight of it?",
    "q2-standard-variance-detached":
        "Which of the terms take part in the gradient, and which does autograd take for a constant?",
    "q2-standard-in-place": "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q2-standard-float64": "In which precision do the numbers come in, and where on the way does that change?",
    "q2-univariate-reversed":
        "Under which of the two distributions is the expectation taken? It is not the same the other way round.",
    "q2-univariate-no-log-ratio": "Try p = q, then scale one sigma. Which term notices that the two widths differ?",
    "q2-univariate-log-ratio-twice":
        "Is it the ratio of the standard deviations whose logarithm stands in the definition, or that of the "
        "variances?",
    "q2-univariate-own-variance":
        "A shift of the mean: by whose width is it large or small, that of p or that of q?",
    "q2-univariate-no-half":
        "Put p = q into your formula by hand, term by term: what is left, and what takes it away?",
    "q2-univariate-summed": "Your result is one number for the batch, and grows with its size. Is that asked for?",
    "q2-univariate-symmetrised": "Is the divergence the same both ways, and is yours?",
    "q2-diagonal-mean":
        "Your values are off by the number of dimensions. What should adding a dimension do to the divergence?",
    "q2-diagonal-not-summed":
        "An example with three dimensions: how many numbers should come out for it, and how many do?",
    "q2-diagonal-product":
        "Two independent dimensions, in one of which p equals q: what do you get, and what should the other "
        "one count?",
    "q2-diagonal-prior-detached":
        "Follow the number from the argument to the result: at which step does autograd lose sight of it?",
    "q2-standard-squeezed": "Which axes should the result have, and what adds or removes one of size 1 on the way?",
    "q2-standard-bits": "Which logarithm do nats come from, and which do you use?",
    "q2-standard-no-one": "Put p = q into your formula by hand, term by term: what is left, and what takes it away?",
    "q2-standard-zeros-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q2-univariate-guarded":
        "You are given the logarithm of the variance. Is there a need to take a logarithm again, or to "
        "protect one?",
    "q2-univariate-widths": "The definition has sigma squared in one term: what is the unit of yours, in metres?",
    "q2-univariate-mean-unscaled":
        "A shift of the means by 1: does it matter as much for wide distributions as for narrow ones?",
    "q2-univariate-mean-ignored": "Shift one mean far away. Does your divergence notice?",
    "q2-univariate-ratio-detached":
        "Which of the terms take part in the gradient, and which does autograd take for a constant?",
    "q2-diagonal-batch-sum": "Your result is one number for the batch, and grows with its size. Is that asked for?",
    "q2-diagonal-wrong-axis": "Which axis holds the examples, and along which of the two do you sum?",
    "q2-diagonal-in-place": "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q2-full-no-trace": "Make every variance twice as large: which terms of your formula notice?",
    "q2-full-one-for-dimensions": "Does your divergence vanish for N(0, I) in more than one dimension?",
    "q2-full-log-det-sign": "Shrink cov towards 0: should the divergence fall or rise?",
    "q2-full-factor-determinant":
        "If you use a factor of cov: what is the determinant of the factor, compared with that of cov?",
    "q2-full-diagonal-only": "Let the dimensions correlate more and more: should the divergence stay the same?",
    "q2-full-det-underflow":
        "How large is the determinant of a 200 x 200 matrix whose diagonal is 0.001, and what is its logarithm?",
    "q2-full-unchecked":
        "Which entries of the matrix does the routine that you rely on read, and what does it make of the others?",
    "q2-full-error-type":
        "Which entries of the matrix does the routine that you rely on read, and what does it make of the others?",
    "q2-full-item": "Which of the terms take part in the gradient, and which does autograd take for a constant?",
    "q2-full-diagonal-and-determinant":
        "What must a covariance say of every direction, not only along the axes, and which of your tests "
        "asks for it?",
    "q2-full-norm-squared-again":
        "Which step of yours has no slope at exactly 0, though the divergence itself is smooth there?",
    "q2-full-sum-of-entries": "Which entries of cov are variances, and do the others belong into the same sum?",
    "q2-full-length-of-mean": "How does the mean enter: should twice the distance cost twice as much?",
    "q2-full-mean-by-cov":
        "By whose width is the distance of the mean measured, that of your Gaussian or that of N(0, I)?",
    "q2-full-no-mean": "Shift one mean far away. Does your divergence notice?",
    "q2-full-twice":
        "Your values are exactly twice too large. Check against an integral in one dimension: which factor "
        "is missing?",
    "q2-full-vector": "Which axes should the result have, and what adds or removes one of size 1 on the way?",
    "q2-full-eye-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
}
