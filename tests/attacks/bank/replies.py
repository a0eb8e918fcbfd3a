"""Answers that are none: frames written to the grader's socket past all that would write them properly.

Whatever arrives, it is the submission's fault and not the grader's.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Forged
from ..oracles import grader_failed

FORGE = '''
import json, os, socket, stat, struct, sys, time
import torch

def data_socket():
    """The check's own way to the grader."""
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                one = socket.socket(fileno=os.dup(fd))
                one.setblocking(True)
                if one.family == socket.AF_UNIX and one.getpeername() is not None:
                    return one
        except OSError:
            pass
    raise LookupError("no socket")

def asked():
    """The request that is being answered, out of the callers' variables; a number to guess from if there is none."""
    frame = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and "nonce" in value:
                return value
        frame = frame.f_back
    return {"nonce": 1}

def frame_of(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<4sIQ", b"A7W1", len(text), len(body)) + text + body

def forge(fields, body=b"", end=True):
    """Answers with these fields, in the place of whoever would answer."""
    request = asked()
    count = len(request.get("requests", [1]))
    header = {"nonce": request["nonce"], **fields, "answers": [fields] * count}
    send(frame_of(header, body), end)

def send(data, end=True):
    one = data_socket()
    one.sendall(data)
    if end:
        time.sleep(0.3)
        os._exit(0)

def tensors(specs, data=b""):
    """A safetensors block as described."""
    text = json.dumps(specs).encode()
    return struct.pack("<Q", len(text)) + text + data
'''


def forged(name: str, says: str, body: str, *, sample: bool = False) -> Attack:
    """An attack of this kind: `body` is what is done in the place of an answer."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    text = f"{FORGE}\ndef attack():\n{lines}\n"
    return Attack(name, "replies", says, grader_failed, Forged(text), sample=sample)


ATTACKS: Sequence[Attack] = (
    forged("says-that-it-was-refused", "answers in the worker's own words that the grader's question makes no sense",
           'forge({"refused": "I do not know this request"})', sample=True),
    forged("names-a-tensor-that-is-not-there", "answers with the name of a tensor that does not come along",
           'forge({"value": {"tensor": "t99", "device": "cpu", "grad": False}})'),
    forged("names-a-device-that-is-none", "answers with a tensor on a device that does not exist",
           'forge({"value": {"tensor": "t0", "device": "moon:7\\n", "grad": 5}}, '
           'tensors({"t0": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)))', sample=True),
    forged("answers-with-a-huge-number", "answers with a number of four hundred digits",
           'forge({"value": 10 ** 400})', sample=True),
    forged("answers-with-ten-thousand-digits", "answers with a number that Python refuses to read",
           'sys.set_int_max_str_digits(0)\nforge({"value": 10 ** 10000})'),
    forged("answers-with-eight-bits", "answers with tensors of types that few operations know", """
kind = "F8_E4M3"
specs = {key: {"dtype": kind, "shape": [4], "data_offsets": [4 * at, 4 * at + 4]} for at, key in enumerate(["t0", *(f"{n}.t0" for n in range(64))])}
forge({"value": {"tensor": "t0", "device": "cpu", "grad": False}}, tensors(specs, bytes(4 * len(specs))))
"""),
    forged("answers-with-numbers-as-handles", "answers with handles that are no numbers",
           'forge({"value": {"handle": "one", "type": ["list"]}})'),
    forged("raises-an-error-of-no-form", "answers with an error whose parts have other types",
           'forge({"error": {"kinds": 7, "message": None, "frames": [3, {"file": [], "line": "many"}]}})', sample=True),
    forged("raises-an-error-that-is-a-list", "answers with an error that is a list", 'forge({"error": [[[]]]})'),
    forged("answers-with-keys-that-are-lists", "answers with a dictionary whose keys cannot be keys",
           'forge({"value": {"dict": [[[1], 2], [{"dict": []}, 3], [4]]}})'),
    forged("answers-with-deep-nesting", "answers with a hundred thousand brackets",
           'send(frame_of(b"[" * 200000 + b"]" * 200000))'),
    forged("answers-with-no-object", "answers with a list, a text, a number in the place of an object",
           'send(frame_of(b"[1, 2]"))'),
    forged("answers-in-no-encoding", "answers with bytes that are no text", 'send(frame_of(b"{\\xff\\xfe\\x00}"))'),
    forged("answers-with-keys-twice", "answers with every key twice",
           'n = asked()["nonce"]\nsend(frame_of(json.dumps({"nonce": n}).encode()[:-1] + f", \\"nonce\\": {n}, \\"value\\": NaN, \\"value\\": Infinity}}".encode()))'),
    forged("announces-more-than-it-sends", "announces a gigabyte and sends nothing",
           'send(struct.pack("<4sIQ", b"A7W1", 100, 1 << 30))'),
    forged("announces-too-much", "announces more than any frame may have",
           'send(struct.pack("<4sIQ", b"A7W1", 0xFFFFFFFF, 1 << 63))', sample=True),
    forged("answers-early", "answers the next ten questions along with this one", """
n = asked()["nonce"]
send(b"".join(frame_of({"nonce": n + k, "value": 0.0, "answers": []}) for k in range(10)))
"""),
    forged("answers-with-damaged-tensors", "answers with tensors that overlap, are negative or too large", """
for shape, offsets in (([1 << 40], [0, 4]), ([-1], [0, 4]), ([2, 2], [0, 4]), ([1], [4, 0]), ([0], [0, 0])):
    forge({"value": {"tensor": "t0"}}, tensors({"t0": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}, bytes(4)), end=False)
os._exit(0)
"""),
    forged("answers-a-byte-at-a-time", "answers so slowly that each byte takes a second", """
data = frame_of({"nonce": asked()["nonce"], "value": 0.0})
one = data_socket()
for at in range(len(data)):
    one.send(data[at : at + 1])
    time.sleep(1)
"""),
    forged("sends-descriptors-along", "sends open files along with its answer", """
one = data_socket()
fds = [os.open("/dev/null", 0) for _ in range(60)]
for _ in range(20):
    socket.send_fds(one, [b"A"], fds)
os._exit(0)
"""),
)  # fmt: skip
