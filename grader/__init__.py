"""The autograder of "Autoencoders and Generative Models": it checks, judges, explains and scores."""

__version__ = "0.1.0"
