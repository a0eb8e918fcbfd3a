"""Changing what is not theirs: files, the Python environment, settings of the machine and of the grader."""

from __future__ import annotations

from collections.abc import Sequence

from ..attack import Attack, Inside
from ..oracles import changed
from .tools import TOOLS


def writing(name: str, says: str, body: str, *, sample: bool = False, dangerous: bool = False) -> Attack:
    """An attack of this kind: nothing outside may have changed."""
    return Attack(name, "writing", says, changed, Inside(TOOLS + body), sample=sample, dangerous=dangerous)


ATTACKS: Sequence[Attack] = (
    writing("overwrites-a-file", "writes into a file of the TA's", """
def attack(bait):
    return each([bait["canary"], *bait["shared"]], lambda path: open(path, "w").write("mine"))
""", sample=True),
    writing("changes-a-report", "gives itself and others other marks", """
def attack(bait):
    return each([bait["report"]], lambda path: open(path, "w").write('{"score": 110}'))
"""),
    writing("adds-a-file", "puts a file beside the reports", """
def attack(bait):
    return each([bait["folder"], os.path.dirname(bait["report"])], lambda path: open(path + "/results.json", "w").write("{}"))
"""),
    writing("removes-files", "removes others' work", """
def attack(bait):
    return each([bait["other"], bait["canary"]], os.unlink)
"""),
    writing("renames-files", "swaps two files by renaming", """
def attack(bait):
    return each([bait["other"]], lambda path: os.replace(path, path + ".old"))
"""),
    writing("changes-modes-and-dates", "changes a file's mode, dates, owner and attributes, not its content", """
def attack(bait):
    steps = [lambda p: os.chmod(p, 0o777), lambda p: os.utime(p, (1, 1)), lambda p: os.setxattr(p, "user.mine", b"1"),
             lambda p: os.chown(p, 12345, 12345)]
    return each(steps, lambda step: step(bait["canary"]))
"""),
    writing("truncates-through-a-link", "empties a file through links in its own folder", """
def attack(bait):
    def cut(make):
        make(bait["canary"], "here")
        os.truncate("here", 0)
    return each([os.symlink, os.link], cut)
"""),
    writing("writes-through-another-process", "writes through /proc/PID/root and /proc/PID/fd", """
def attack(bait):
    paths = [f"/proc/{pid}/root{bait['canary']}" for pid in {*pids(), 1, os.getppid(), bait["pid"]}]
    return each([*paths, f"/proc/{bait['pid']}/cwd/a7-note"], lambda path: open(path, "a").write("mine"))
"""),
    writing("leaves-code-for-python", "puts a .pth file into the environment that the next worker starts from", """
def attack(bait):
    return each([bait["python"]], lambda path: open(path + "/a7-mine.pth", "w").write("import this\\n"))
"""),
    writing("mounts-over-a-folder", "hides a folder under an empty one", """
def attack(bait):
    return each([bait["folder"]], lambda path: called("mount", b"none", path.encode(), b"tmpfs", 0, None))
""", dangerous=True),
    writing("renames-the-machine", "gives the machine another name", """
def attack(bait):
    return each([b"a7-mine"], lambda name: called("sethostname", name, len(name)))
""", dangerous=True),
    writing("writes-settings-of-the-kernel", "writes to /proc/sys", """
def attack(bait):
    return each(["/proc/sys/kernel/hostname"], lambda path: open(path, "w").write("a7-mine"))
""", dangerous=True),
    writing("makes-a-control-group", "makes a control group of its own, and moves into it", """
def attack(bait):
    def make(root):
        os.makedirs(root + "/a7-mine", exist_ok=True)
        open(root + "/a7-mine/cgroup.procs", "w").write(str(os.getpid()))
    return each(["/sys/fs/cgroup", *glob.glob("/sys/fs/cgroup/*/")], make)
""", dangerous=True),
    writing("lowers-the-graders-limits", "sets the grader's own limits with prlimit", """
def attack(bait):
    import resource
    def lower(pid):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (301, hard))
    return each([bait["pid"]], lower)
""", dangerous=True),
)  # fmt: skip
