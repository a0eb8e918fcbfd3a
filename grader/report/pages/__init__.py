"""Pages of one file each: what a student reads (`student`), what a course looks like (`classroom`, with the figures of
`analysis`). Modules here make plain records; the templates beside them lay records out, and nothing else makes HTML.
"""
