"""Question 3: what must be asked of a student with each mistake, in the first failing check that they would read."""

from __future__ import annotations

# fmt: off
HINTS: dict[str, str] = {
    "q3-pca-ascending": "Which of the directions that you found has the largest variance, and which comes first?",
    "q3-pca-kept-in-reverse":
        "Which of the directions that you found has the largest variance, and which comes first?",
    "q3-pca-transposed": "Does your routine return the directions as rows or as columns, and which did you keep?",
    "q3-pca-not-centred":
        "From which point must directions be seen in which the points spread, the origin or their mean?",
    "q3-pca-mean-of-rows":
        "The data are rows of features: over which axis is an average taken, and how many numbers does that "
        "leave?",
    "q3-pca-standardised":
        "What does dividing a feature by its spread do to the direction in which the data spread most?",
    "q3-pca-scaled-components": "Multiply components_ with its own transpose: what should come out, and what does?",
    "q3-pca-fit-returns-nothing": "Could one write PCA(2).fit(x).encode(x) with your class?",
    "q3-pca-power-iteration":
        "Some pixels never change. Does any step divide by their spread, or need them to vary?",
    "q3-variance-by-n":
        "By how many do you divide, and how many degrees of freedom are left once the mean is taken away?",
    "q3-variance-singular-values":
        "How far are singular values from variances? In which unit is a variance, if the data are in metres?",
    "q3-variance-ratio-of-kept":
        "Do the shares of all components add up to 1, and those of a few? What do you compare them with?",
    "q3-encode-without-mean": "Where does the mean go on the way in? Encode the mean itself: what is its code?",
    "q3-encode-own-mean": "Whose mean is subtracted, that of the data you fitted or that of the data you are given?",
    "q3-decode-without-mean":
        "Where does the mean go on the way out? Decode a code of zeros: which point should come out?",
    "q3-encode-whitened": "Is a coordinate a length, in the unit of the data, and does decode take it back?",
    "q3-pca-centres-in-place": "Whose object is it that you change, and what will the caller find in it afterwards?",
    "q3-pca-cancelling-covariance": "How many digits are left once a large mean is squared?",
    "q3-pca-by-inverse-values":
        "Which step needs every direction to vary, and what happens to it where one does not?",
    "q3-pca-too-many":
        "How many directions can a few points span, and where do you compare that with what is asked for?",
    "q3-pca-limit-features-only":
        "How many directions can a few points span, and where do you compare that with what is asked for?",
    "q3-pca-zero-components":
        "How many directions can a few points span, and where do you compare that with what is asked for?",
    "q3-pca-unfitted": "What does a user see who forgets to call fit, and does it say what to do?",
    "q3-pca-fitted-on-class": "Who remembers that fit was called: this object, or something that all of them share?",
    "q3-pca-refit-keeps-mean":
        "Fit an object to two sets of data, one after the other: what is left of the first?",
    "q3-pca-stale-basis": "Fit an object to two sets of data, one after the other: what is left of the first?",
    "q3-pca-all-components": "How many components are asked for, and how many do you keep?",
    "q3-pca-columns": "Does your routine return the directions as rows or as columns, and which did you keep?",
    "q3-pca-float64": "In which precision do the numbers come in, and where on the way does that change?",
    "q3-variance-ratio-cumulative": "Is it each component's own share that is asked for?",
    "q3-variance-ratio-of-deviations":
        "How far are singular values from variances? In which unit is a variance, if the data are in metres?",
    "q3-variance-not-divided":
        "By how many do you divide, and how many degrees of freedom are left once the mean is taken away?",
    "q3-reconstruct-as-it-is": "What is left of a point that goes in and out again, and what should be?",
    "q3-pca-mean-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q3-angles-not-orthonormalised":
        "Multiply a row of `a` by 10, or add one row to another: does the space change, and does your result?",
    "q3-angles-rows-normalised": "Is it enough that the rows of a basis have length 1?",
    "q3-angles-column-space":
        "Do the spaces lie in the rows or in the columns of what you factor?",
    "q3-angles-descending": "Does the smallest angle belong to the smallest or to the largest cosine?",
    "q3-angles-degrees": "In which unit is a right angle 1.57?",
    "q3-angles-cosines": "Are these angles, or their cosines?",
    "q3-angles-diagonal": "Another basis of the same space: would your pairs of vectors make the same angles?",
    "q3-angles-nan": "How large can a cosine come out by rounding, and what does the inverse cosine make of that?",
    "q3-angles-short-rows-dropped":
        "Does the length of a row say anything about its direction, and from when on do you take one for nothing?",
    "q3-compare-fitted-on-test": "Which split chose the axes?",
    "q3-compare-judged-on-train": "On which images are the two judged?",
    "q3-compare-per-image": "Is your error per pixel, or per image?",
    "q3-compare-keys-swapped": "Which of the two errors is whose?",
    "q3-compare-silent-broadcast": "Print both shapes: with which images is each reconstruction compared?",
    "q3-compare-training-mode": "What do dropout and batch statistics do to an error that is to be compared?",
    "q3-compare-mode-lost": "In which mode was the model before, and who says that it was training?",
    "q3-compare-mode-always-training": "In which mode was the model before, and who says that it was training?",
    "q3-compare-gradients": "Does anything here need a backward pass? What does keeping one cost?",
    "q3-compare-gradients-left-off": "For how long are gradients switched off, and who switches them on again?",
    "q3-compare-mean-of-means": "Does an image in a batch of 11 count as much as one in a batch of 128?",
    "q3-compare-clamps-pca": "Is what you compare with the image what came back, or did you touch it up on the way?",
    "q3-compare-clamps-model":
        "Is what you compare with the image what came back, or did you touch it up on the way?",
    "q3-compare-flat-for-model": "In which shape would a model want them that begins with a convolution?",
    "q3-compare-gradients-switched-on":
        "Were gradients on when your function was called? What does it leave behind?",
    "q3-angles-sines": "Are these angles, or their sines?",
    "q3-angles-largest-only": "Over which axes does your result sum or average, and which of them should be left?",
    "q3-angles-projector-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q3-compare-two-components": "How many components are asked for?",
    "q3-compare-fitted-on-both": "Which split chose the axes?",
    "q3-compare-root": "In which unit is a squared error?",
    "q3-compare-absolute": "Is it the difference that is averaged, or its square?",
    "q3-compare-all-pairs": "Print both shapes: with which images is each reconstruction compared?",
    "q3-compare-last-batch": "Which of your batches is in the result?",
    "q3-compare-tuple": "Under which names will a caller look for the two errors?",
    "q3-compare-zeros-on-cpu":
        "On a GPU: which tensors does your code make itself, and where do they lie when those it was given "
        "lie there?",
    "q3-linear-unflattened": "Which value arrives at this line, and from where?",
    "q3-linear-flat-output": "Into which shape should the numbers be brought before they are returned?",
    "q3-linear-only-reconstruction": "What does a caller get who wants both the picture and its code?",
    "q3-linear-swapped-return": "In which order are the two values asked for?",
    "q3-linear-fixed-size": "Which value arrives at this line, and from where?",
    "q3-linear-relu":
        "Look at what lies between input and output, and at its end: is there anything that bends, or cuts off?",
    "q3-linear-sigmoid":
        "Look at what lies between input and output, and at its end: is there anything that bends, or cuts off?",
    "q3-linear-clamped":
        "Look at what lies between input and output, and at its end: is there anything that bends, or cuts off?",
    "q3-linear-no-bias": "PCA adds the mean. What plays its part in your decoder?",
    "q3-linear-narrow": "Do all entries of the code carry something of their own?",
    "q3-linear-detached-code":
        "Follow the number from the argument to the result: at which step does autograd lose sight of it?",
    "q3-linear-unused-layer": "Is each of your layers on the way from the images to the result?",
    "q3-linear-any-input-dim": "How many rows has a square image of 50 pixels, and how many columns?",
    "q3-linear-square-by-division": "How many rows has a square image of 2 pixels, and how many columns?",
    "q3-linear-centres-each-batch": "Should what comes out for one example depend on the others in its batch?",
    "q3-linear-latent-fixed":
        "Print the shape after every step: where does it first differ from what you had in mind?",
    "q3-linear-forward-of-its-own": "Does forward go the way of encode and decode, or one of its own?",
    "q3-linear-tanh-code":
        "Look at what lies between input and output, and at its end: is there anything that bends, or cuts off?",
    "q3-linear-skip-in-training":
        "What does the reconstruction know of an image besides its code, and in which mode?",
    "q3-linear-mask-on-cpu": "What does model.to(device) take along, and what of the model stays where it was made?",
}
