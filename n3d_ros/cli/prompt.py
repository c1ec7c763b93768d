"""The prompt of ``n3d ask``: line editing, completion of names, a history, and a few words of its own."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from n3d_ros.cli.console import plain
from n3d_ros.cli.locate import object_table, told_error
from n3d_ros.cli.query import print_answer, print_steps
from n3d_ros.errors import N3dError

if TYPE_CHECKING:
    from n3d_ros.cli.ask import Conversation

PROMPT = "n3d> "
HISTORY_LINES = 1000
HISTORY_BYTES = 1_000_000  # more is no history of ours
COMPLETION_WAIT_S = 0.3
OBJECTS_WAIT_S = 2.0
COMMANDS = {
    "help": "what can be asked",
    "objects": "what is in the scene now",
    "steps": "how the last answer was reached",
    "again": "ask the last question once more",
    "quit": "end; so does Ctrl-D",
}


def run_prompt(
    conversation: Conversation, *, keep_history: bool = True, read: Callable[[str], str] | None = None
) -> int:
    """Asks what is typed until the end of input.

    Args:
        conversation: puts the questions.
        keep_history: read and write the history file.
        read: gives a line; None: ``input`` with line editing.

    Returns:
        Exit code 0.
    """
    names = Names(conversation)
    history = History(history_path() if keep_history else None)
    history.load()
    if read is None:
        enable_line_editing(history.lines, names.completions)
        read = input
    print("Type a question, `help`, or Ctrl-D to end.")
    prompt = Prompt(conversation, names)
    try:
        while True:
            try:
                line = " ".join(read(PROMPT).split())
                if line in ("quit", "exit"):
                    return 0
                if line:
                    history.add(line)
                    prompt.obey(line)
            except KeyboardInterrupt:  # noqa: PERF203 -- of the question or of the half-typed line; the prompt stays
                print("\nInterrupted." if prompt.busy else "")
                prompt.busy = False
            except EOFError:
                print()
                return 0
    finally:
        history.save()


class Prompt:
    """Does what a line says.

    Args:
        conversation: puts the questions.
        names: of the objects now in the scene.
    """

    def __init__(self, conversation: Conversation, names: Names) -> None:
        self._conversation = conversation
        self._names = names
        self._question = ""
        self.busy = False

    def obey(self, line: str) -> None:
        """Carries out a command of the prompt, or asks; errors are told and change nothing.

        Args:
            line: as typed, without blanks around it.
        """
        self.busy = True
        try:
            self._do(line)
        except N3dError as error:
            told_error(error)
        self.busy = False

    def _do(self, line: str) -> None:
        if line in ("help", "?"):
            print(help_text())
        elif line == "objects":
            print(self._names.table())
        elif line == "steps":
            self._show_steps()
        elif line == "again" and not self._question:
            print("Nothing was asked yet.")
        else:
            self._question = self._question if line == "again" else line
            answer = self._conversation.put(self._question)
            print_answer(answer, steps=self._conversation.args.steps, value=True)

    def _show_steps(self) -> None:
        last = self._conversation.last
        if last is None or not last["steps"]:
            print("Nothing was asked yet." if last is None else "The last answer has no steps.")
        else:
            print_steps(last)


class Names:
    """The objects now in the scene, for completion and the list of them.

    Args:
        conversation: has the client.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._client = conversation.client

    def known(self, wait_s: float = COMPLETION_WAIT_S) -> tuple[str, ...]:
        """The names, each once, sorted.

        Args:
            wait_s: longest wait for the newest ones.

        Returns:
            Labels.
        """
        message = self._client.objects(wait_s)
        labels = () if message is None else (plain(one.label) for one in message.objects)
        return tuple(sorted({label for label in labels if label}))

    def completions(self, line: str, word: str) -> list[str]:
        """What the word at the end of a line may become.

        Args:
            line: up to the cursor.
            word: its last word, which is replaced; maybe empty.

        Returns:
            Replacements.
        """
        commands = [name for name in COMMANDS if name.startswith(word)] if line.strip() == word else []
        return commands + name_completions(line, word, self.known())

    def table(self) -> str:
        """The objects now in the scene, for people.

        Returns:
            A table, or a sentence when there is none.
        """
        from n3d_ros.ros.client import object_msg_to_dict

        message = self._client.objects(OBJECTS_WAIT_S)
        if message is None:
            return "No objects are being published: is the node active, with `continuous` on? `n3d doctor` tells more."
        if not message.objects:
            return "No objects in the newest image."
        table = object_table([object_msg_to_dict(one) for one in message.objects])
        return f"{table}\nin {plain(message.header.frame_id)}"


def name_completions(line: str, word: str, names: Iterable[str]) -> list[str]:
    """Ends of names that begin with the last words of a line.

    Args:
        line: up to the cursor.
        word: its last word, which is replaced.
        names: one or more words each.

    Returns:
        What the word is replaced by: the name, or its end when its first words are there already.
    """
    before = line[: len(line) - len(word)].lower().split()
    found = dict[str, None]()
    for name in names:
        parts = name.lower().split()
        for count in range(min(len(before), len(parts) - 1), -1, -1):
            if before[len(before) - count :] == parts[:count] and parts[count].startswith(word.lower()):
                found[" ".join(name.split()[count:])] = None
                break
    return list(found)


def help_text() -> str:
    """What the prompt understands.

    Returns:
        Lines.
    """
    from n3d_ros.scene.questions.reading import UNDERSTOOD

    width = max(map(len, COMMANDS))
    lines = ["Questions such as:", *(f"  {one}" for one in UNDERSTOOD), "or a phrase that names things, and:"]
    return "\n".join([*lines, *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())])


def enable_line_editing(lines: Sequence[str], completions: Callable[[str, str], list[str]]) -> None:
    """Line editing with this history and completion, where Python has readline.

    Args:
        lines: the history.
        completions: gives replacements of the last word, for the line up to the cursor and that word.
    """
    try:
        import readline
    except ImportError:  # a Python built without it: lines are read all the same
        return
    readline.set_auto_history(False)
    for line in lines:
        readline.add_history(line)
    found: list[str] = []

    def complete(word: str, state: int) -> str | None:
        if state == 0:
            found[:] = completions(readline.get_line_buffer()[: readline.get_endidx()], word)
        return found[state] if state < len(found) else None

    readline.set_completer_delims(" \t")
    readline.set_completer(complete)
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")


def history_path() -> Path:
    """Where the history is kept: in the user's state folder, as the XDG Base Directory Specification has it.

    Returns:
        A path; nothing needs to be there yet.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "n3d" / "ask_history"


class History:
    """The lines typed at the prompt, in a file that only its user can read.

    Args:
        path: the file; None: nothing is read or kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._new: list[str] = []
        self.lines: list[str] = []

    def load(self) -> None:
        """Reads the file, when there is one."""
        self.lines = self._read()

    def add(self, line: str) -> None:
        """Takes note of a line, unless it is the one before.

        Args:
            line: as typed.
        """
        if self.lines[-1:] == [line]:
            return
        self.lines.append(line)
        self._new.append(line)
        readline = sys.modules.get("readline")
        if readline is not None:
            readline.add_history(line)

    def save(self) -> None:
        """Adds the new lines to the file, which keeps the newest ``HISTORY_LINES``; says so when it cannot."""
        if self._path is None or not self._new:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._write((self._read() + self._new)[-HISTORY_LINES:])  # read again: other prompts may have added theirs
        except OSError as error:
            print(f"n3d: the history was not kept: {error}", file=sys.stderr)

    def _read(self) -> list[str]:
        if self._path is None or not self._path.is_file():
            return []
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            text = file.read(HISTORY_BYTES).decode("utf-8", errors="replace")
            return [plain(line) for line in text.splitlines() if line.strip()][-HISTORY_LINES:]
        return []

    def _write(self, lines: Sequence[str]) -> None:
        """Replaces the file at once, so that a second prompt never reads half of it; such files are made 0600."""
        path = Path(os.path.realpath(self._path or ""))
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".ask_history")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
