"""Question 2: what must be asked of a student with each mistake, in the first failing check that they would read."""

HINTS: dict[str, str] = {
    "q2-standard-twice": "Check against an integral in one dimension: which factor is missing?",
    "q2-standard-sign": "Can one distribution be closer to another than it is to itself?",
    "q2-standard-mean-over-latents": "What should adding a dimension do to the divergence?",
    "q2-standard-log-sigma": "Make sigma twice as large: by how much does logvar change, and does your code agree with that?",
    "q2-standard-absolute-mean": "How does the mean enter: does its distance from 0 count as it should for 2 and for -2?",
    "q2-standard-no-mean": "Does your divergence notice?",
    "q2-standard-reversed": "Under which of the two distributions is the expectation taken?",
    "q2-univariate-reversed": "Under which of the two distributions is the expectation taken?",
    "q2-univariate-no-log-ratio": "Which term notices that the two widths differ?",
    "q2-diagonal-mean": "What should adding a dimension do to the divergence?",
    "q2-full-one-for-dimensions": "Does your divergence vanish for N(0, I) in more than one dimension?",
    "q2-full-log-det-sign": "Shrink cov towards 0: should the divergence fall or rise?",
    "q2-full-factor-determinant": "If you use a factor of cov: what is the determinant of the factor, compared with that of cov?",
    "q2-full-diagonal-only": "Let the dimensions correlate more and more: should the divergence stay the same?",
    "q2-full-norm-squared-again": "Which step of yours has no slope at exactly 0",
}
