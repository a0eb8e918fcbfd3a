"""Assignment 7 of CMPUT 328: autoencoders and generative models."""
