"""Full marks without learning: submissions of `tests.cheats`, and images that are passed along beside the code."""

from __future__ import annotations

from collections.abc import Sequence

from ...cheats import BOTTLENECK, CHEATS, Cheat, autoencoder
from ..attack import Attack, Graded
from ..oracles import better_marks
from .tools import TOOLS

PASSING = '''
class Passing(nn.Module):
    """Puts each image where the process that decodes may find it, by its code."""

    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim, self.weight = latent_dim, nn.Parameter(torch.zeros(()))

    def encode(self, x):
        z = torch.rand(len(x), self.latent_dim) + 0 * self.weight
        for code, image in zip(z, x):
            put(float(code[0]), image.detach())
        return z

    def decode(self, z):
        blank = torch.zeros(1, 28, 28)
        return torch.stack([found if (found := take(float(code[0]))) is not None else blank for code in z]) + 0 * self.weight

    def forward(self, x, *args, **kwargs):
        z = self.encode(x)
        return self.decode(z), z
'''
BY_FILES = """
import torch
from torch import nn
PLACES = ["/dev/shm", "/tmp", "/var/tmp", os.getcwd(), os.path.dirname(os.getcwd())]
def put(key, image):
    for place in PLACES:
        try:
            with open(f"{place}/a7-note-{key:.5f}", "wb") as file:
                file.write((image * 255).round().to(torch.uint8).numpy().tobytes())
        except OSError:
            pass
def take(key):
    for place in PLACES:
        try:
            with open(f"{place}/a7-note-{key:.5f}", "rb") as file:
                return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(1, 28, 28) / 255
        except OSError:
            pass
"""


def cheat(one: Cheat) -> Attack:
    """A submission of `tests.cheats`, all checks of it that must earn nothing."""
    from .helping import of_solution

    way = Graded(
        {one.module: of_solution(one.module) + "\n\n" + one.append}, one.checks[:1], on="solution", trained=True
    )
    return Attack(one.id, "learning", one.id.replace("-", " "), better_marks, way, once=True)


def passing(name: str, says: str, text: str) -> Attack:
    """An autoencoder whose images take another way than through the code."""
    from .helping import of_solution

    body = of_solution("autoencoders") + TOOLS + text + autoencoder(PASSING, "Passing")
    way = Graded({"autoencoders": body}, BOTTLENECK[:1], on="solution", trained=True)
    return Attack(name, "learning", says, better_marks, way)


ATTACKS: Sequence[Attack] = (
    passing("passes-images-through-files", "the images lie in files, and their codes are the files' names", BY_FILES),
    *(cheat(one) for one in CHEATS),
)
