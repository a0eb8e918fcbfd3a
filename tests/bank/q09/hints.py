"""Question 9: what must be asked of a student with each mistake, in the first failing check that they would read."""

HINTS: dict[str, str] = {
    "q09-class-of-first-row": "Whose class does each row of a batch get?",
    "q09-generator-ignored": "Where does your randomness come from, and does the argument generator reach it?",
    "q09-generate-in-training-mode": "What would BatchNorm and Dropout do to these images?",
    "q09-generate-with-graph": "Will anybody call backward on these images?",
    "q09-generate-leaves-eval": "In which mode does the caller find the model afterwards, if it was training?",
    "q09-generate-ignores-generator": "Where does your randomness come from, and does the argument generator reach it?",
    "q09-label-as-factor": "What does this class leave of what it is combined with?",
    "q09-class-vectors-not-registered": "Which numbers does your model compute with, and which of them are in its state_dict?",
    "q09-batch-maximum": "what have the other images of the batch to do with this one?",
    "q09-generate-centred": "should the mean of the three latents always be the same?",
    "q09-generate-switches-gradients-off": "For how long are gradients switched off, and who switches them on again?",
    "q09-num-classes-on-class": "Make two models of different sizes, then use the first: whose sizes does it know?",
    "q09-logits-while-training": "What does the loss take x_recon for while the model trains?",
    "q09-forward-logits-while-training": "What does the loss take x_recon for while the model trains?",
    "q09-mean-without-gradients": "What has a draw from the posterior to do with whether somebody wants gradients?",
    "q09-generate-switches-gradients-on": "Were gradients on when your function was called?",
    "q09-generate-unfreezes": "Which parameters were frozen before, and which are afterwards?",
    "q09-generate-flag-only": "What would BatchNorm and Dropout do to these images?",
}
