"""Question 1: what must be asked of a student with each mistake, in the first failing check that they would read."""

from __future__ import annotations

# fmt: off
HINTS: dict[str, str] = {
    "q1-expectation-alone": "The probabilities sum to 1 already: what does your result divide by once more?",
    "q1-expectation-unweighted": "Are all values equally likely, and where do their probabilities enter?",
    "q1-expectation-summed-over-batch": "How many distributions did you get, and how many numbers should come out?",
    "q1-variance-cancels":
        "What is the variance of a variable that takes the same value with certainty, and what does rounding "
        "make of your way to compute it?",
    "q1-variance-standard-deviation": "In which unit should the result be if the values are in metres?",
    "q1-variance-unweighted": "Are all values equally likely, and where do their probabilities enter?",
    "q1-pmf-negative-accepted": "Can a probability lie below 0, even by a little, if all of them sum to 1?",
    "q1-pmf-sum-accepted":
        "What do the entries of a distribution add up to, and who notices here that these do not?",
    "q1-pmf-sum-exact": "How far from 1 may a sum of many rounded numbers come out, and how far do you let it?",
    "q1-pmf-average-sum": "Is one number enough to say whether every row of a batch is a distribution?",
    "q1-chain-joint-marginals":
        "Entry i is about one variable, given those before it: by the probability of what is it divided?",
    "q1-chain-wrong-axis": "Over which axis must each entry sum to 1?",
    "q1-chain-reversed": "Which variable stands alone in the first factor, and which comes last?",
    "q1-chain-nan": "What do you divide by where a condition cannot happen?",
    "q1-chain-epsilon":
        "Does what you do about impossible conditions change those that can happen, but almost never do?",
    "q1-chain-unchecked": "Can a probability lie below 0, even by a little, if all of them sum to 1?",
    "q1-chain-in-place": "What do you divide by where a condition cannot happen?",
    "q1-pmf-sum-machine-epsilon":
        "How far from 1 may a sum of many rounded numbers come out, and how far do you let it?",
    "q1-variance-centres-in-place":
        "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q1-pmf-small-negatives": "Can a probability lie below 0, even by a little, if all of them sum to 1?",
    "q1-pmf-tolerance-grows":
        "From where on is a deviation of the sum no rounding any more, and does that depend on how many rows "
        "there are?",
    "q1-chain-normalises-in-place":
        "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q1-expectation-normalises-in-place":
        "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q1-variance-sample-correction":
        "You know the distribution itself here, not a sample of it: does anything need a correction?",
    "q1-variance-about-zero": "From which point are your distances measured?",
    "q1-variance-absolute-distance": "Is it the distance that is averaged, or its square?",
    "q1-expectation-mode": "Do values that are less likely count for nothing?",
    "q1-chain-own-marginals": "Do the variables before it tell nothing about this one?",
    "q1-chain-squeezed": "Which axes should the result have, and what adds or removes one of size 1 on the way?",
    "q1-chain-ones-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q1-chain-uniform-if-impossible": "What do you divide by where a condition cannot happen?",
    "q1-sigma-for-variance": "In which unit is the squared distance, and in which is what you divide it by?",
    "q1-logvar-is-log-sigma":
        "Make sigma twice as large: by how much does logvar change, and does your code agree with that?",
    "q1-no-constant":
        "Your values are too large, by the same number per dimension everywhere. Does the density integrate to 1?",
    "q1-no-log-variance": "Does the density integrate to 1 for a narrow and for a wide Gaussian alike?",
    "q1-sign": "Should a point far from the mean have a larger or a smaller log-density?",
    "q1-density-not-log": "Is this the density, or its logarithm?",
    "q1-variance-epsilon":
        "How small, and how large, may a variance be before anything that you add to it or cut off shows?",
    "q1-univariate-underflow": "How large is the density itself out there, and does your computation ever hold it?",
    "q1-diagonal-underflow": "How large is the density itself out there, and does your computation ever hold it?",
    "q1-diagonal-mean":
        "Your values are off by a factor, the number of dimensions: what does adding a dimension do to the "
        "result?",
    "q1-diagonal-batch-summed": "Should the examples of a batch be combined?",
    "q1-diagonal-no-sharing": "Which value arrives at this line, and from where?",
    "q1-diagonal-loop-of-floats":
        "Follow the number from the argument to the result: at which step does autograd lose sight of it?",
    "q1-full-diagonal-only": "Do correlated dimensions really count as if they were independent?",
    "q1-full-det-underflow":
        "How large is the determinant of a 200 x 200 matrix whose diagonal is 0.001, and what is its logarithm?",
    "q1-full-log-det-sign": "Should a wide Gaussian have a higher or a lower peak than a narrow one?",
    "q1-full-one-constant": "Does the constant grow with the number of dimensions?",
    "q1-full-batch-matrix": "Should one example's log-density depend on the others in its batch?",
    "q1-cov-asymmetric-accepted":
        "Which entries of the matrix does the routine that you rely on read, and what does it make of the others?",
    "q1-cov-error-type": "Which kind of exception says that an argument's value is bad?",
    "q1-cov-determinant-test":
        "What must a covariance say of every direction, not only along the axes, and which of your tests "
        "asks for it?",
    "q1-conditional-first-class": "Shuffle the batch: does every example keep its own class?",
    "q1-conditional-shared-variance":
        "From which row do mean and variance of the second example come, and from which should they?",
    "q1-conditional-negative-class": "What does Python take an index of -1 for, and is that a class?",
    "q1-conditional-index-error": "Which kind of exception says that an argument's value is bad?",
    "q1-centres-in-place": "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q1-diagonal-product-of-variances":
        "What becomes of a product of 784 numbers that are all a little below 1, or all a little above it?",
    "q1-cov-diagonal-and-determinant":
        "What must a covariance say of every direction, not only along the axes, and which of your tests "
        "asks for it?",
    "q1-cov-symmetry-absolute": "How far from symmetric is this matrix, compared with its own entries?",
    "q1-full-distance-squared-again":
        "Which step of yours has no slope for a distance of exactly 0, though the density itself is smooth there?",
    "q1-distance-not-squared": "How does the distance from the mean enter: what should twice the distance cost?",
    "q1-distance-by-nothing":
        "A point 3 away from the mean: is it as unlikely for a wide Gaussian as for a narrow one?",
    "q1-log-of-pi":
        "Your values are too large, by the same number per dimension everywhere. Does the density integrate to 1?",
    "q1-logvar-clamped":
        "How small, and how large, may a variance be before anything that you add to it or cut off shows?",
    "q1-variance-detached":
        "Which of the terms take part in the gradient, and which does autograd take for a constant?",
    "q1-diagonal-squeezed": "Which axes should the result have, and what adds or removes one of size 1 on the way?",
    "q1-diagonal-batch-mean": "Should the examples of a batch be combined?",
    "q1-full-half-log-det":
        "If you use a factor of cov: what is the determinant of the factor, compared with that of cov?",
    "q1-full-cov-for-inverse":
        "A long axis of the covariance: does a step along it cost more or less than a step across it?",
    "q1-full-factor-transposed":
        "Your factor times its transpose gives cov: which of the two has to be undone first?",
    "q1-conditional-from-one": "Which number has the first class?",
    "q1-conditional-unit-variance": "What does the second table say, and where does your code use it?",
    "q1-conditional-sorted": "Shuffle the batch: does every example keep its own class?",
    "q1-conditional-one-hot-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q1-sample-cov-as-factor": "Is the matrix that you multiply with the covariance, or a root of it?",
    "q1-sample-wrong-side": "Your factor times its transpose gives cov. Which side of the noise does it belong on?",
    "q1-sample-diagonal": "Do the coordinates of your samples correlate at all?",
    "q1-sample-uniform": "Which distribution is your noise drawn from?",
    "q1-sample-generator-ignored": "Which stream do your numbers come from when a generator is given?",
    "q1-sample-reseeded":
        "Is the generator still the same one after your call, or does its next call begin where this one began?",
    "q1-sample-float32": "In which precision do the numbers come in, and where on the way does that change?",
    "q1-sample-antithetic":
        "Draw a handful, note its mean, and do that again and again: how much should those means differ?",
    "q1-sample-stratified":
        "Draw a handful, note its mean, and do that again and again: how much should those means differ?",
    "q1-sample-unit-spread":
        "Draw a handful, note how far it is spread, and do that again and again: how much should that differ?",
    "q1-sample-drawn-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q1-sample-no-mean": "What is added to the noise, and around which point does the noise itself lie?",
    "q1-sample-shared-noise": "Does every coordinate get noise of its own?",
    "q1-sample-variance-as-deviation":
        "Is what you multiply with a variance or a standard deviation, and do your coordinates correlate?",
    "q1-sample-one-row": "How many draws of the noise does one call need, and how many does it make?",
    "q1-sample-transposed": "Which axis stands for what, in what comes in and in what goes out?",
    "blind-pmf-two-percent":
        "From where on is a deviation of the sum no rounding any more, and does that depend on how many rows "
        "there are?",
    "blind-diagonal-log-of-densities":
        "How large is the density itself out there, and does your computation ever hold it?",
}
