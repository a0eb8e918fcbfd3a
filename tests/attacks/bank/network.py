"""Reaching out: to the network, to other programs' sockets, and being reached."""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Inside
from ..oracles import reached
from .tools import TOOLS

ASK = """
def ask(family, kind, address, protocol=0, flags=None):
    with socket.socket(family, kind, protocol) as one:
        one.settimeout(2)
        if flags is not None:
            one.sendto(b"hello", flags, address)
        elif kind == socket.SOCK_DGRAM:
            one.sendto(b"hello", address)
            return "sent"
        else:
            one.connect(address)
        return one.recv(200).decode()
"""


def network(name: str, says: str, body: str, *, sample: bool = False) -> Attack:
    """An attack of this kind: no listener of ours may hear of it."""
    return Attack(name, "network", says, reached, Inside(TOOLS + ASK + body), sample=sample)


ATTACKS: Sequence[Attack] = (
    network("connects-by-tcp", "connects to a server on this machine", """
def attack(bait):
    return each([(socket.AF_INET, "127.0.0.1", "TCP"), (socket.AF_INET6, "::1", "TCP over IPv6")],
                lambda one: ask(one[0], socket.SOCK_STREAM, (one[1], bait["ports"][one[2]])))
""", sample=True),
    network("sends-by-udp", "sends a datagram, as a question for a name would be", """
def attack(bait):
    return each([bait["ports"]["UDP"]], lambda port: ask(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port)))
"""),
    network("connects-by-fast-open", "sends with the first packet, without connecting", """
def attack(bait):
    return each([bait["ports"]["TCP"]], lambda port: ask(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), flags=0x20000000))
"""),
    network("connects-by-multipath-tcp", "connects with a protocol that rules for TCP do not name", """
def attack(bait):
    return each([262], lambda protocol: ask(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", bait["ports"]["TCP"]), protocol))
"""),
    network("connects-to-an-abstract-socket", "connects to a socket that has a name and no path", """
def attack(bait):
    return each([(socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "-datagram")],
                lambda one: ask(socket.AF_UNIX, one[0], "\\0" + bait["abstract"] + one[1]))
"""),
    network("connects-to-a-socket-with-a-path", "connects to a socket in a folder, also through links and /proc", """
def attack(bait):
    def link(path):
        if not os.path.lexists("near"):
            os.symlink(path, "near")
        return ask(socket.AF_UNIX, socket.SOCK_STREAM, "near")
    return each([bait["socket"]], lambda path: ask(socket.AF_UNIX, socket.SOCK_STREAM, path)) + each([bait["socket"]], link)
"""),
    network("lets-another-program-connect", "starts a shell that connects", """
def attack(bait):
    text = f"exec 3<>/dev/tcp/127.0.0.1/{bait['ports']['TCP']}; head -c 100 <&3"
    return each([text], lambda text: subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=5))
"""),
    network("connects-in-a-new-process", "connects from a process and from a thread of its own", """
def attack(bait):
    def try_it():
        try:
            ask(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", bait["ports"]["TCP"]))
        except OSError:
            pass
    child = os.fork()
    if child == 0:
        try_it()
        os._exit(0)
    os.waitpid(child, 0)
    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return "tried"
"""),
)  # fmt: skip
