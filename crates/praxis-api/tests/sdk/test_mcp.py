"""The official Python SDK of the Model Context Protocol against `praxis serve` and `praxis mcp`, and servers of others
used by Praxis.

PRAXIS_BIN is the binary (default: target/debug/praxis). MCP_SERVERS is a folder in which npm has installed
`@modelcontextprotocol/server-everything` and `@modelcontextprotocol/server-filesystem`; without it, they are not used.
MCP_NODE is the node that runs them (default: node). No model is needed.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import httpx2
    import mcp
    from mcp.client.streamable_http import streamable_http_client
except ImportError:
    print("SKIPPED: the packages `mcp` (2.3) and `httpx2` are not installed", file=sys.stderr)
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[4]
BINARY = os.environ.get("PRAXIS_BIN", str(ROOT / "target/debug/praxis"))
SERVERS = os.environ.get("MCP_SERVERS")
NODE = os.environ.get("MCP_NODE", "node")
KEY = "sk-praxis-test"

CONFIG = """[app]
name = "desk"
title = "The desk"
description = "Calculates and greets."

[server]
api_key = "env:PRAXIS_TEST_KEY"
"""

GREET = """---
description: Greets somebody.
input:
  schema:
    name: string, who is greeted
    tone?(enum): [warm, cool]
---
Greet {{name}}.
"""

# What others give is taken as it is, and asked for without a person.
POLICY = '[policy]\napproval = "never"\nwhen_tainted = "allow"\noutside = false\n'


def application(folder):
    folder = pathlib.Path(folder)
    (folder / "prompts").mkdir()
    (folder / "praxis.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "prompts/greet.prompt").write_text(GREET, encoding="utf-8")
    os.environ["PRAXIS_TEST_KEY"] = KEY


def setUpModule():
    global folder, server, url
    folder = tempfile.TemporaryDirectory()
    application(folder.name)
    command = [BINARY, "serve", "--app", folder.name, "--port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    text = ""
    for line in server.stdout:
        text += line
        try:
            url = json.loads(text)["url"] + "/mcp"
            return
        except json.JSONDecodeError:
            continue
    raise RuntimeError(f"praxis serve ended: {text}")


def tearDownModule():
    server.terminate()
    assert server.wait(60) == 0, "the server stops cleanly"
    server.stdout.close()
    folder.cleanup()


async def fills_in(context, params):
    return mcp.types.ElicitResult(action="accept", content={"name": "Grace"})


@contextlib.asynccontextmanager
async def over_stdio():
    yield mcp.StdioServerParameters(
        command=BINARY, args=["mcp", "--app", folder.name], env={"PRAXIS_TEST_KEY": KEY}
    )


@contextlib.asynccontextmanager
async def over_http(key=KEY):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60) as client:
        yield streamable_http_client(url, http_client=client)


@contextlib.asynccontextmanager
async def clients(**options):
    """Clients of both transports and of both kinds of revisions."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for way in [over_stdio, over_http]:
            for mode in ["auto", "legacy"]:
                transport = await stack.enter_async_context(way())
                client = mcp.Client(transport, mode=mode, **options)
                found.append(await stack.enter_async_context(client))
        yield found


class Client(unittest.IsolatedAsyncioTestCase):
    async def test_both_kinds_of_revisions_are_spoken(self):
        async with clients() as found:
            revisions = [client.protocol_version for client in found]
            self.assertEqual(revisions[::2], ["2026-07-28"] * 2)
            self.assertTrue(all(revision < "2026" for revision in revisions[1::2]), revisions)
            for client in found:
                self.assertEqual(client.server_info.title, "The desk")
                self.assertEqual(client.instructions, "Calculates and greets.")

    async def test_functions_are_tools(self):
        async with clients() as found:
            for client in found:
                tools = {tool.name: tool for tool in (await client.list_tools()).tools}
                self.assertEqual(tools["greet"].input_schema["required"], ["name"])
                calculate = tools["praxis_calculate"]
                self.assertEqual(calculate.title, "praxis/calculate")
                self.assertTrue(calculate.annotations.read_only_hint)
                # The SDK holds what comes to the schema that it was told.
                answer = await client.call_tool("praxis_calculate", {"expression": "6 * 7"})
                self.assertFalse(answer.is_error)
                self.assertEqual(answer.structured_content["result"], "42")
                self.assertEqual(json.loads(answer.content[0].text)["result"], "42")

    async def test_what_goes_wrong_is_told_to_the_model(self):
        async with clients() as found:
            for client in found:
                answer = await client.call_tool("praxis_calculate", {"expression": "6 * )"})
                self.assertTrue(answer.is_error)
                self.assertTrue(answer.content[0].text)
                with self.assertRaises(mcp.MCPError):
                    await client.call_tool("nothing", {})

    async def test_prompt_files_are_prompts(self):
        async with clients() as found:
            for client in found:
                [prompt] = (await client.list_prompts()).prompts
                self.assertEqual([one.name for one in prompt.arguments], ["name", "tone"])
                filled = await client.get_prompt("greet", {"name": "Ada"})
                self.assertEqual(filled.messages[-1].content.text.strip(), "Greet Ada.")
                with self.assertRaises(mcp.MCPError):
                    await client.get_prompt("greet", {})
                reference = mcp.types.PromptReference(type="ref/prompt", name="greet")
                typed = {"name": "tone", "value": "w"}
                completed = await client.complete(reference, typed)
                self.assertEqual(completed.completion.values, ["warm"])

    async def test_a_person_is_asked_for_what_is_missing(self):
        async with clients(elicitation_callback=fills_in) as found:
            for client in found:
                filled = await client.get_prompt("greet", {})
                self.assertEqual(filled.messages[-1].content.text.strip(), "Greet Grace.")

    async def test_resources_are_listed(self):
        async with clients() as found:
            for client in found:
                self.assertEqual((await client.list_resources()).resources, [])
                [template] = (await client.list_resource_templates()).resource_templates
                self.assertIn("{base}", template.uri_template)
                with self.assertRaises(mcp.MCPError):
                    await client.read_resource("praxis://knowledge/none/documents/none")

    async def test_without_a_key_nobody_is_let_in(self):
        for key in [None, "sk-other"]:
            with self.assertRaises(BaseException):
                async with over_http(key) as transport:
                    async with mcp.Client(transport) as client:
                        await client.list_tools()


class Stdout(unittest.TestCase):
    def test_nothing_but_the_protocol_is_written(self):
        ended = subprocess.run(
            [BINARY, "mcp", "--app", folder.name], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, b""), ended.stderr)


def node(package, *arguments):
    entry = pathlib.Path(SERVERS, "node_modules/@modelcontextprotocol", package, "dist/index.js")
    return [NODE, str(entry), *arguments]


@unittest.skipUnless(SERVERS, "SKIPPED: MCP_SERVERS names no folder with servers of others")
class Others(unittest.TestCase):
    """Servers of others, used by Praxis."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.app = pathlib.Path(self.folder.name)
        application(self.app)
        (self.app / "tools").mkdir()

    def tool(self, name, *lines, policy=POLICY):
        text = "\n".join(lines) + "\n" + policy
        (self.app / f"tools/{name}.mcp.toml").write_text(text, encoding="utf-8")

    def run_praxis(self, *arguments, input=None):
        command = [BINARY, *arguments, "--app", str(self.app), "--json"]
        return subprocess.run(command, input=input, capture_output=True, text=True, timeout=120)

    def call(self, function, **arguments):
        ended = self.run_praxis("call", function, "--input", "-", input=json.dumps(arguments))
        self.assertEqual(ended.returncode, 0, ended.stderr + ended.stdout)
        return json.loads(ended.stdout)["output"]

    def everything(self):
        self.assertEqual(self.call("everything/echo", message="hello"), "Echo: hello")
        self.assertEqual(self.call("everything/get-sum", a=2, b=40), "The sum of 2 and 40 is 42.")
        weather = self.call("everything/get-structured-content", location="Chicago")
        self.assertIsInstance(weather["temperature"], (int, float))
        self.assertIn("[image: image/png, ", self.call("everything/get-tiny-image"))
        resource = self.call("everything/resource", uri="demo://resource/dynamic/text/1")
        self.assertTrue(resource)
        prompt = self.call("everything/prompt", name="args-prompt", arguments={"city": "Paris"})
        self.assertEqual(prompt["messages"][0]["content"], "What's weather in Paris?")
        steps = self.call("everything/trigger-long-running-operation", duration=1, steps=3)
        self.assertIn("3", steps)

    def test_everything_as_a_program(self):
        command = json.dumps(node("server-everything", "stdio"))
        self.tool("everything", f"command = {command}")
        self.everything()
        checked = self.run_praxis("check")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_everything_over_http(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen(
            node("server-everything", "streamableHttp"),
            env={**os.environ, "PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.terminate)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        self.tool("everything", f'url = "http://127.0.0.1:{port}/mcp"', "allow_private = true")
        self.everything()

    def files(self, policy):
        shared = self.app / "shared"
        shared.mkdir()
        command = json.dumps(node("server-filesystem", str(shared.resolve())))
        self.tool("fs", f"command = {command}", "trust_hints = true", policy=policy)
        return shared.resolve()

    def test_files_are_written_and_read(self):
        shared = self.files(POLICY)
        self.call("fs/write_file", path=f"{shared}/a.txt", content="hello")
        self.assertEqual((shared / "a.txt").read_text(), "hello")
        self.assertEqual(self.call("fs/read_text_file", path=f"{shared}/a.txt"), {"content": "hello"})
        beyond = json.dumps({"path": "/etc/passwd"})
        ended = self.run_praxis("call", "fs/read_text_file", "--input", "-", input=beyond)
        self.assertNotEqual(ended.returncode, 0)
        self.assertNotIn("root:", ended.stdout + ended.stderr)

    def test_what_writes_waits_for_a_person(self):
        shared = self.files("[policy]\noutside = false\n")
        (shared / "a.txt").write_text("hello", encoding="utf-8")
        self.assertEqual(self.call("fs/read_text_file", path=f"{shared}/a.txt"), {"content": "hello"})
        change = json.dumps({"path": f"{shared}/b.txt", "content": "hello"})
        ended = self.run_praxis("call", "fs/write_file", "--input", "-", input=change)
        self.assertNotEqual(ended.returncode, 0)
        self.assertFalse((shared / "b.txt").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
