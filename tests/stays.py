"""Checks that no mistake of the bank needs, and why they stay: another check catches the same, later or less clearly.

`ALONE` shows of those that no mistake reaches, because whatever would fail them has lost its points before and is replaced,
that they can fail: each with a mistake that they see when nothing else is asked.
"""

STAYS: dict[str, str] = {
    "q1.univariate.value": "the definition itself. The reference's other densities build on this one, so that a mistake in it "
    "shows in all of them; in a submission that writes each out, it shows here only",
    "q1.diagonal.value": "the definition itself, as above; far points and 784 dimensions see most of what is wrong in it too, "
    "and show a case in which nobody can see why",
    "q1.inputs": "an argument changed in place is seen by the gradients too, where autograd refuses; without gradients this "
    "check alone looks",
    "q2.standard.value": "the definition itself, most of the points: sampling and the properties see that a formula is wrong, "
    "this shows the smallest input and which numbers it should give",
    "q2.univariate.value": "the definition itself, as above; the reference's other divergences build on it",
    "q2.diagonal.value": "the definition itself, as above",
    "q2.full.value": "the definition itself, as above",
    "q2.properties": "says which property of a divergence is violated, to a student who believes in a closed form that is wrong",
    "q2.montecarlo": "the definition as an expectation, independent of every closed form: it would see a mistake in our own "
    "oracles as well",
    "q5.gaussian.moments": "the distribution itself. Wrong noise changes what the clamp leaves, which is how the clamp's check "
    "sees it too, without saying what is wrong",
    "q5.masking.rate": "the distribution itself; the contract at probability 0 and 1 sees some of the mistakes",
    "q5.noise.generator": "says which function ignores its generator; the model's freshness shows that one of them does",
    "q5.noise.contract": "levels 0 and 1, dtype and in-place changes in one place; each single mistake also moves a statistic",
    "q6.evaluate.value": "the mean per example as the handout defines it; fit's history calls it and inherits what is wrong",
    "q6.fit.history": "the history of a submission whose fit does not call evaluate is seen here only",
    "q7.classifier.logits": "logits affine in the code of the encoder given: what the two-stage checks take for granted",
    "q7.loss.gradient": "a value can be right and its gradient cut: that training fails as well is the consequence",
    "q7.finetune.learns": "the purpose of the function; which rows it uses and what it leaves alone are conditions of it",
    "q8.elbo.zero": "the number of nats that a student can work out by hand, for a network that knows nothing",
    "q9.encoder": "each half of the model must see the class: a model in which both do not is seen by both checks, one in which "
    "one does not also accepts labels there that do not exist",
    "q9.decoder": "the other half, as above: a student learns from the two together which half ignores the class",
    "q10.vq.codebook": "shape, registration and start of the codebook, which everything after it takes for granted",
    "q10.vq.nearest": "the quantizer's definition; averages and restarts go wrong with it",
    "q10.vq.codes": "that z_q holds the codes of the returned indices, which the model's forward takes for granted",
    "q10.vq.lookup": "decoding from numbers alone; the reference's quantizers share the function, so that all see it break",
    "q10.vq.codebook-loss": "the codebook's side of the loss. Every exchange of the two terms moves both sides",
    "q10.vq.commitment": "the encoder's side of the loss, as above",
    "q10.ema.buffer": "a codebook that is a parameter is moved by the optimizer as well; the model's own check sees it later",
    "q10.ema.steady": "a property that needs no number of the reference: what is right already must stay where it is",
    "q10.ema.converges": "a property that needs no number of the reference: the averages end at the means",
    "q10.ema.modes": "updates in the wrong mode also change the model's outputs, which does not tell why",
    "bonus.masked.trained": "that training does not bring hidden weights back; the prior's causality sees it after many steps",
    "bonus.weights": "the integrand itself; the law of the bound that is built from it breaks with it",
    "bonus.iwae.grows": "the theorem that makes the bound worth having; every mistake of the bank breaks the law first",
    "bonus.ppca.oracle": "the only check in which bound, weights and an exact likelihood meet; each has checks of its own",
}

ALONE: dict[str, str] = {
    "q2.properties": "q2-univariate-no-half",
    "q2.montecarlo": "q2-standard-twice",
    "q8.elbo.zero": "q08-bce-arguments-swapped",
    "bonus.ppca.oracle": "bonus.ppca-std-for-variance",
}
