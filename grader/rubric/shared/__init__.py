"""What several questions of the rubric use: latents of models, and parts that one question borrows from another.

What one question alone uses belongs to its own package, what every check may use to `check`.
"""
