"""Our wallet, the command `hazel`, as another program runs it."""

import json
import os
import subprocess
import time
from pathlib import Path

COMMAND_LIMIT_S = 90
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HAZEL")}


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found}, not {wanted}"


def step(name, work, *arguments):
    """Runs one flow and prints the line that `cargo xtask interop` counts."""
    started = time.monotonic()
    work(*arguments)
    print(f"ok {name} ({round((time.monotonic() - started) * 1000)} ms)", flush=True)


class Refused(Exception):
    """The command said no; its error, as JSON."""


class Purse:
    """A wallet in a folder of its own, at one mint."""

    def __init__(self, program, folder, name, mint):
        self.line = [str(Path(program).resolve()), "--wallet", str(Path(folder) / name), "--mint", mint, "--yes", "--json"]

    def hazel(self, *arguments, typed=""):
        """What the command says, as JSON."""
        line = [*self.line, *arguments]
        done = subprocess.run(line, input=typed, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, env=ENVIRONMENT, check=False)
        said = json.loads(done.stdout) if done.stdout.strip() else {}
        if done.returncode != 0:
            raise Refused(f"hazel {arguments[0]}: {done.returncode} {said} {done.stderr}")
        return said

    def mint(self, amount):
        equal(self.hazel("mint", str(amount))["state"], "issued", "mint")

    def send(self, amount, *arguments):
        """A token, and the fee for making it."""
        sent = self.hazel("send", str(amount), *arguments)
        return sent["token"], sent["fee"]

    def receive(self, token, *arguments):
        """What came in, and the fee for it."""
        parts = self.hazel("receive", "-", *arguments, typed=token)["received"]
        return sum(part["amount"] for part in parts), sum(part["fee"] for part in parts)

    def balance(self):
        sums = self.hazel("balance")["balances"]
        equal(sum(entry["held"] for entry in sums), 0, "held")
        return sum(entry["available"] for entry in sums)

    def key(self):
        return self.hazel("keys")["keys"][0]["key"]

    def words(self):
        return self.hazel("seed", "show")["words"]

    def refuses(self, what, *arguments, typed=""):
        try:
            self.hazel(*arguments, typed=typed)
        except Refused:
            return
        raise AssertionError(f"{what} was allowed")
