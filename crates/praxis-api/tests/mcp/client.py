"""Praxis as the client that the MCP conformance suite tests (`conformance client --command "python3 client.py"`).

The suite starts a server for each scenario and appends its URL. An application in a new folder has one tool file,
`tools/srv.mcp.toml`, with that URL; its tools are called by way of `praxis mcp`, and a login that the server wants is
done by `praxis tools login`, with this script as the browser. PRAXIS_BIN is the binary (default: target/debug/praxis).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[4]
BINARY = os.environ.get("PRAXIS_BIN", str(ROOT / "target/debug/praxis"))

# A login that is refused is what these scenarios want.
REFUSED = {"auth/resource-mismatch", "auth/scope-retry-limit"}

# Logins of one scenario at most.
LOGINS = 3

# Where the suite's authorization servers find what a client is, where they ask for that.
METADATA = "https://conformance-test.local/client-metadata.json"

# What Praxis says where it needs a person.
WANTS_LOGIN = "praxis tools login srv"


def application(folder, url, context):
    """An application whose one tool file is of the suite's server."""
    folder = pathlib.Path(folder)
    (folder / "tools").mkdir()
    (folder / "praxis.toml").write_text('[app]\nname = "conformance"\n', encoding="utf-8")
    lines = [
        f"url = {json.dumps(url)}",
        "allow_private = true",
        'elicitation = "defaults"',
    ]
    revision = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION")
    if revision:
        lines.append(f"protocol = {json.dumps(revision)}")
    lines += ["[oauth]", f"client_metadata_url = {json.dumps(METADATA)}"]
    if "client_id" in context:
        lines.append(f"client_id = {json.dumps(context['client_id'])}")
    if "client_secret" in context:
        os.environ["PRAXIS_TEST_SECRET"] = context["client_secret"]
        lines.append('client_secret = "env:PRAXIS_TEST_SECRET"')
    lines += ["[policy]", 'approval = "never"', 'when_tainted = "allow"', "outside = false"]
    (folder / "tools/srv.mcp.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def browse(link):
    """What a browser does with the link: the authorization server sends it back to Praxis at once."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    try:
        opener.open(link, timeout=20)
    except urllib.error.HTTPError as answer:
        back = answer.headers.get("Location")
        if back:
            opener.open(back, timeout=30).read()


def login(folder):
    """Whether the login went well, and what was said."""
    command = [BINARY, "tools", "login", "srv"]
    process = subprocess.Popen(command, cwd=folder, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if line.strip().startswith("http"):
            browse(line.strip())
    process.stderr.close()
    return process.wait() == 0, "".join(said)


class Praxis:
    """`praxis mcp`, asked as a desktop client would."""

    def __init__(self, folder):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [BINARY, "mcp"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.last = 0
        client = {"name": "conformance", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        self.ask("initialize", params)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.send({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == self.last:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
        raise RuntimeError(f"praxis mcp ended: {self.said()}")

    def tools(self):
        """The server's tools by their own names."""
        found, cursor = {}, None
        while True:
            page = self.ask("tools/list", {"cursor": cursor} if cursor else {})
            for tool in page["tools"]:
                title = tool.get("title", tool["name"])
                if title.startswith("srv/"):
                    found[title.removeprefix("srv/")] = tool
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    def call(self, name, arguments):
        """What is wrong with the call, if anything."""
        result = self.ask("tools/call", {"name": f"srv/{name}", "arguments": arguments})
        texts = [block.get("text", "") for block in result["content"]]
        return "\n".join(texts) if result.get("isError") else None


def arguments_for(tool):
    """Something that a tool takes."""
    examples = {"string": "test", "integer": 1, "number": 1, "boolean": True}
    properties = tool["inputSchema"].get("properties", {})
    kinds = {name: schema.get("type") for name, schema in properties.items() if isinstance(schema, dict)}
    return {name: examples[kind] for name, kind in kinds.items() if kind in examples}


def calls_of(scenario, context, tools):
    """Which tools are called, with what."""
    if "toolCalls" in context:
        return [(call["name"], call.get("arguments") or {}) for call in context["toolCalls"]]
    if scenario == "json-schema-2020-12-preservation":
        schema = tools["json_schema_2020_12_tool"]["inputSchema"]
        return [("json_schema_echo", {"schema": schema})]
    return [(name, arguments_for(tool)) for name, tool in tools.items()]


def exercise(folder, scenario, context):
    """What is wrong, if anything."""
    with Praxis(folder) as praxis:
        tools = praxis.tools()
        if not tools:
            return [praxis.said()]
        called = [praxis.call(name, given) for name, given in calls_of(scenario, context, tools)]
        return [wrong for wrong in called if wrong]


def with_login(folder, scenario, context):
    """The same at a server that wants a login, perhaps another one for more."""
    for _ in range(LOGINS):
        done, said = login(folder)
        if not done and WANTS_LOGIN not in said:
            print(said, file=sys.stderr)
            return scenario in REFUSED
        wrong = exercise(folder, scenario, context)
        print("\n".join(wrong), file=sys.stderr)
        if not any(WANTS_LOGIN in one for one in wrong):
            return True
    return scenario in REFUSED


def main():
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    with tempfile.TemporaryDirectory() as folder:
        application(folder, sys.argv[-1], context)
        if scenario.startswith("auth/"):
            return with_login(folder, scenario, context)
        for wrong in exercise(folder, scenario, context):
            print(wrong, file=sys.stderr)
        return True


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
