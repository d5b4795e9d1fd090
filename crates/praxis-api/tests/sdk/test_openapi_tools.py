"""A service of others as tools, by the OpenAPI document that it gives of itself: changedetection.io, which watches web
pages, called from the command line and through `praxis serve`.

PRAXIS_BIN is the binary (default: target/debug/praxis). OPENAPI_SERVICE is the service's program, in an environment
with all that it needs; `make test-openapi` installs it. No model and no network is needed: what the service watches is
a page that this program serves.
"""

import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

SERVICE = os.environ.get("OPENAPI_SERVICE")
if not SERVICE:
    print("SKIPPED: OPENAPI_SERVICE names no program of changedetection.io", file=sys.stderr)
    sys.exit(0)

# Both are there where the service is.
import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
BINARY = os.environ.get("PRAXIS_BIN", str(ROOT / "target/debug/praxis"))
KEY = "sk-praxis-test"
NOBODY = "00000000-0000-4000-8000-000000000000"

CONFIG = """[app]
name = "desk"

[server]
api_key = "env:PRAXIS_TEST_KEY"
"""

# What is done is not asked for, and what comes taints nothing: for the tests of what is sent.
FREE = '[policy]\napproval = "never"\nwhen_tainted = "allow"\n'

# A plugin as the service's documentation has it: a processor with an `api.yaml`, which the document then has as well.
PLUGIN = {
    "words-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: words\nVersion: 1.0\n",
    "words-1.0.dist-info/entry_points.txt": "[changedetectionio]\nwords = words.plugin\n",
    "words/__init__.py": "processor_description = 'Counts words'\n",
    "words/processor.py": """from changedetectionio.processors.text_json_diff import processor


class perform_site_check(processor.perform_site_check):
    pass
""",
    "words/plugin.py": """from changedetectionio.pluggy_interface import hookimpl


@hookimpl
def register_processor():
    import words.processor

    return {
        "processor_name": "words",
        "processor_module": words.processor,
        "processor_class": words.processor.perform_site_check,
        "metadata": {"name": "Words", "description": "Counts words"},
    }
""",
    "words/api.yaml": """components:
  schemas:
    processor_config_words:
      type: object
      description: What counts as a word
      properties:
        least:
          type: integer
          minimum: 1
          description: Letters of a word at least
""",
}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until(what, found, seconds=60):
    """What `found` gives once it gives anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come in {seconds} s")


class Page:
    """A web page that changes."""

    def __init__(self):
        self.text = "Apples cost 3 euros."
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = f"<html><head><title>Prices</title></head><body><p>{page.text}</p></body></html>".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Service:
    """changedetection.io, with a folder of its own."""

    def __init__(self, folder, page):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}/api/v1"
        self.start("-u", page.url)
        kept = until("the service's key", self.settings)
        self.key = kept["settings"]["application"]["api_access_token"]

    def settings(self):
        with contextlib.suppress(OSError, json.JSONDecodeError):
            return json.loads((self.data / "changedetection.json").read_text(encoding="utf-8"))
        return None

    def start(self, *arguments, plugins=None):
        environment = {
            **os.environ,
            "DISABLE_VERSION_CHECK": "true",
            # The page is on this machine.
            "ALLOW_IANA_RESTRICTED_ADDRESSES": "true",
            "MINIMUM_SECONDS_RECHECK_TIME": "0",
            "NO_PROXY": "127.0.0.1",
        }
        if plugins:
            environment["PYTHONPATH"] = str(plugins)
        command = [SERVICE, "-C", "-d", str(self.data), "-h", "127.0.0.1", "-p", str(self.port), *arguments]
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)
        until("the service", self.is_up)

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("the service ended: " + (self.folder / "service.log").read_text()[-2000:])
        with contextlib.suppress(OSError):
            self.document()
            return True
        return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)

    def get(self, path):
        request = urllib.request.Request(self.root + path, headers={"x-api-key": self.key})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def json(self, path):
        return json.loads(self.get(path))

    def document(self):
        return yaml.safe_load(self.get_open("/full-spec"))

    def get_open(self, path):
        with urllib.request.urlopen(self.root + path, timeout=30) as answer:
            return answer.read()


def setUpModule():
    global folder, page, service, watched
    folder = tempfile.TemporaryDirectory()
    page = Page()
    service = Service(folder.name, page)
    os.environ["WATCH_KEY"] = service.key
    os.environ["PRAXIS_TEST_KEY"] = KEY
    [watched] = service.json("/watch")
    until("the first look at the page", lambda: service.json(f"/watch/{watched}/history"))


def tearDownModule():
    service.stop()
    page.stop()
    folder.cleanup()


class Application(unittest.TestCase):
    """Tests over an application with the service as its tool `watch`."""

    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.app = pathlib.Path(kept.name)
        (self.app / "tools").mkdir()
        (self.app / "praxis.toml").write_text(CONFIG, encoding="utf-8")

    def tool(self, *lines, operations=("*",), server=True, auth=True):
        """The file of the tool."""
        text = [f'document = "{service.root}/full-spec"', "allow_private = true"]
        if operations:
            text.append(f"operations = {json.dumps(list(operations))}")
        # The document says that it is at port 5000 of its reader's machine.
        if server:
            text.append(f'server = "{service.root}"')
        if auth:
            text.append('auth = { kind = "key", key = "env:WATCH_KEY" }')
        text.extend(lines)
        (self.app / "tools/watch.openapi.toml").write_text("\n".join(text) + "\n", encoding="utf-8")

    def run_praxis(self, *arguments, input=None, **environment):
        command = [BINARY, *arguments, "--app", str(self.app), "--json"]
        return subprocess.run(
            command, input=input, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
        )

    def praxis(self, *arguments, **options):
        """What a command says that went well."""
        ended = self.run_praxis(*arguments, **options)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return json.loads(ended.stdout)

    def tools(self):
        listed = self.praxis("tools", "list", "watch")["tools"]
        return {tool["name"].removeprefix("watch/"): tool for tool in listed}

    def refreshed(self):
        """The names of the tool's functions, and what is said of its file."""
        said = self.praxis("tools", "refresh", "watch")
        names = [name.removeprefix("watch/") for name in said["tools"] if name.startswith("watch/")]
        return names, [f"{one['message']} ({one['help']})" for one in said["diagnostics"]]

    def called(self, operation, **arguments):
        """The data of an answer, from the command line."""
        ended = self.praxis("tools", "call", f"watch/{operation}", "--input", "-", input=json.dumps(arguments))
        self.assertEqual(ended["output"]["from"], f"watch/{operation}")
        content = ended["output"]["content"]
        self.assertLess(content["status"], 300)
        return content

    def refused(self, operation, arguments, **environment):
        """Code and words of an error, from the command line."""
        ended = self.run_praxis(
            "tools", "call", f"watch/{operation}", "--input", "-", input=json.dumps(arguments), **environment
        )
        self.assertNotEqual(ended.returncode, 0, ended.stdout)
        error = json.loads(ended.stdout)["error"]
        return error["code"], error["diagnostics"][0]["message"]

    @contextlib.contextmanager
    def served(self):
        """A function that asks `praxis serve`: status and body."""
        command = [BINARY, "serve", "--app", str(self.app), "--port", "0", "--json"]
        log = (self.app / "serve.log").open("w+", encoding="utf-8")
        self.addCleanup(log.close)
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.DEVNULL)

        def address():
            self.assertIsNone(server.poll(), "praxis serve ended")
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads((self.app / "serve.log").read_text(encoding="utf-8"))["url"]

        try:
            url = until("praxis serve", address)

            def ask(path, body):
                headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
                request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        return answer.status, json.load(answer)
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, json.load(error)

            yield ask
        finally:
            server.terminate()
            self.assertEqual(server.wait(60), 0, "the server stops cleanly")

    def function(self, ask, operation, **arguments):
        name = urllib.parse.quote(f"watch/{operation}", safe="")
        return ask(f"/praxis/v1/functions/{name}/call", {"input": arguments})


class Functions(Application):
    """What the document becomes, held to the document."""

    def test_what_only_reads_is_there_where_nothing_is_chosen(self):
        self.tool(operations=())
        paths = service.document()["paths"].values()
        expected = {item["get"]["operationId"] for item in paths if "get" in item}
        found = self.tools()
        self.assertEqual(set(found), expected)
        self.assertTrue(all(tool["effects"] == ["read", "external"] for tool in found.values()))

    def test_operations_are_chosen_by_id_by_path_and_by_pattern(self):
        self.tool(operations=("*Tag", "GET /watch*", "getSystemInfo"))
        expected = {
            "createTag": ["write", "external"],
            "getTag": ["read", "external"],
            "updateTag": ["write", "external"],
            "deleteTag": ["write", "external", "irreversible"],
            **dict.fromkeys(
                ["listWatches", "getWatch", "getWatchHistory", "getWatchSnapshot", "getWatchHistoryDiff"],
                ["read", "external"],
            ),
            "getWatchFavicon": ["read", "external"],
            "getSystemInfo": ["read", "external"],
        }
        self.assertEqual({name: tool["effects"] for name, tool in self.tools().items()}, expected)

    def test_all_operations_become_functions_with_strict_schemas(self):
        self.tool()
        names, said = self.refreshed()
        self.assertEqual(said, [])
        methods = {"get", "post", "put", "patch", "delete"}
        items = service.document()["paths"].values()
        expected = {item[method]["operationId"] for item in items for method in methods & item.keys()}
        self.assertEqual(set(names), expected)
        for name, tool in self.tools().items():
            schema = tool["input_schema"]
            jsonschema.Draft202012Validator.check_schema(schema)
            jsonschema.Draft202012Validator.check_schema(tool["output_schema"])
            self.assertEqual((schema["type"], schema["additionalProperties"]), ("object", False), name)
            # The key is not a caller's to give.
            self.assertFalse({"x-api-key", "x_api_key"} & schema["properties"].keys(), name)
            self.assertNotIn('"$ref"', json.dumps(schema).replace('"$ref": "#/$defs/', ""), name)

    def test_a_body_becomes_the_arguments_that_the_document_has(self):
        self.tool()
        schemas = service.document()["components"]["schemas"]
        tools = self.tools()
        base = {
            name: property
            for name, property in schemas["WatchBase"]["properties"].items()
            if not property.get("readOnly") and not property.get("deprecated")
        }
        create = tools["createWatch"]["input_schema"]
        self.assertEqual(create["required"], ["url"])
        self.assertEqual(create["properties"].keys(), base.keys())
        # What another part of the body's schema requires is as its own part describes it.
        url = create["properties"]["url"]
        self.assertEqual((url["type"], url["format"], url["maxLength"]), ("string", "uri", 5000))
        for name in ["type", "enum", "maxItems", "additionalProperties", "pattern"]:
            for argument, property in base.items():
                if name in property:
                    self.assertEqual(create["properties"][argument].get(name), property[name], f"{argument} {name}")
        # The path's argument is beside those of the body, one of which is called `body`.
        update = tools["updateWatch"]["input_schema"]
        self.assertEqual(update["required"], ["uuid"])
        own = schemas["UpdateWatch"]["allOf"][1]["properties"].keys()
        self.assertEqual(update["properties"].keys(), base.keys() | own | {"uuid"})
        self.assertEqual(update["properties"]["body"]["type"], ["string", "null"])
        # A body of text is one argument.
        imported = tools["importWatches"]["input_schema"]
        self.assertEqual(imported["required"], ["body"])
        self.assertEqual(imported["properties"]["body"]["type"], "string")

    def test_a_function_is_shown_with_what_it_takes(self):
        self.tool(operations=("searchWatches",))
        shown = self.praxis("tools", "show", "watch")
        self.assertIn("by URL or title", shown["description"])
        self.assertEqual(shown["input_schema"]["required"], ["q"])
        self.assertIn("match", shown["input_schema"]["properties"]["q"]["description"])

    def test_what_is_not_in_the_document_is_told(self):
        self.tool(operations=("listWatch", "listTags", "getTimeline"))
        names, said = self.refreshed()
        self.assertEqual(names, ["listTags"])
        self.assertEqual(len(said), 2, said)
        self.assertTrue("`listWatch`" in said[0] and "did you mean `listWatches`" in said[0], said)
        self.assertIn("`getTimeline`", said[1])

    def test_the_key_is_sent_to_no_other_host_than_the_documents(self):
        self.tool(server=False)
        names, said = self.refreshed()
        # What takes no key is there.
        self.assertEqual(names, ["getFullApiSpec"])
        self.assertEqual(len(said), 1, said)
        port = service.port
        for part in ['server = "http://localhost:5000/api/v1"', f'server = "http://127.0.0.1:{port}/api/v1"']:
            self.assertIn(part, said[0])
        self.assertNotIn(service.key, said[0])

    def test_a_file_without_credentials_is_told_of(self):
        self.tool(auth=False)
        _, said = self.refreshed()
        self.assertTrue(len(said) == 1 and "needs credentials" in said[0], said)
        code, words = self.refused("listWatches", {})
        self.assertEqual(code, "forbidden")
        # These are the service's own words.
        self.assertIn("API key invalid", words)


class Calls(Application):
    """What is sent, and what comes back."""

    def test_what_is_there_is_read(self):
        self.tool()
        content = self.called("listWatches")
        self.assertEqual(content["status"], 200)
        found = content["data"][watched]
        self.assertEqual((found["url"], found["page_title"]), (page.url, "Prices"))
        self.assertNotIn("note", content)
        # A text is one.
        text = self.called("getWatchSnapshot", uuid=watched, timestamp="latest")["data"]
        self.assertRegex(text, r"Apples cost \d euros[.]")
        with self.served() as ask:
            status, body = self.function(ask, "listWatches")
        self.assertEqual((status, body["output"]["from"]), (200, "watch/listWatches"))
        self.assertEqual(body["output"]["content"]["data"].keys(), content["data"].keys())

    def test_values_of_a_query_arrive_as_they_are(self):
        self.tool(FREE)
        odd = f"{page.url}?a=1&partial=0&b=%C3%BC+c"
        made = self.called("createWatch", url=odd, paused=True)["data"]["uuid"]
        self.addCleanup(self.called, "deleteWatch", uuid=made)
        self.assertEqual(service.json(f"/watch/{made}")["url"], odd)
        for part, expected in [
            ("a=1&partial=0", [made]),
            ("b=%C3%BC+c", [made]),
            ("a=1&partial=1", []),
            ("b=ü c#", []),
        ]:
            found = self.called("searchWatches", q=part, partial="true")["data"]
            self.assertEqual(list(found), expected, part)

    def test_a_value_of_a_path_calls_no_other_operation(self):
        # This service takes `%2F` in a path for `/`.
        self.tool(FREE, operations=("getWatch", "deleteWatch"))
        history = service.json(f"/watch/{watched}/history")
        for operation, rest, other in [
            ("getWatch", "/history", "GET /watch/{uuid}/history"),
            ("getWatch", "//favicon", "GET /watch/{uuid}/favicon"),
        ]:
            code, words = self.refused(operation, {"uuid": watched + rest})
            self.assertEqual(code, "invalid_request", words)
            self.assertTrue("`uuid`" in words and other in words, words)
        for uuid in ["", ".", "..", "../systeminfo", f"{watched}/../../tags"]:
            self.assertEqual(self.refused("getWatch", {"uuid": uuid})[0], "invalid_request", uuid)
        for uuid in [f"{watched}?x=1", f"{watched}#x", "%2e%2e", "none/such"]:
            self.assertEqual(self.refused("getWatch", {"uuid": uuid})[0], "not_found", uuid)
        self.assertEqual(service.json(f"/watch/{watched}/history"), history)

    def test_a_body_of_text_is_sent_with_a_query_beside_it(self):
        self.tool(FREE)
        lines = [f"{page.url}one", f"{page.url}two"]
        made = self.called("importWatches", body="\n".join(lines), tag="imported", dedupe=True)["data"]
        for uuid in made:
            self.addCleanup(self.called, "deleteWatch", uuid=uuid)
        found = service.json("/watch?tag=imported")
        self.assertEqual(sorted(found[uuid]["url"] for uuid in made), lines)

    def test_what_is_changed_is_changed_and_nothing_else(self):
        self.tool(FREE)
        made = self.called("createWatch", url=f"{page.url}three", title="Three", paused=True)
        self.assertEqual(made["status"], 201)
        uuid = made["data"]["uuid"]
        every = {"hours": 6, "minutes": None}
        self.called("updateWatch", uuid=uuid, time_between_check=every, headers={"Accept": "text/html"})
        kept = service.json(f"/watch/{uuid}")
        self.assertEqual((kept["title"], kept["paused"]), ("Three", True))
        self.assertEqual((kept["time_between_check"]["hours"], kept["headers"]), (6, {"Accept": "text/html"}))
        self.called("updateWatch", uuid=uuid, title=None)
        self.assertIn(service.json(f"/watch/{uuid}")["title"], [None, "Three"])
        self.assertEqual(self.called("deleteWatch", uuid=uuid)["status"], 204)
        self.assertNotIn(uuid, service.json("/watch"))
        code, words = self.refused("getWatch", {"uuid": uuid})
        self.assertEqual(code, "not_found")
        self.assertIn("No watch exists", words)

    def test_a_change_of_the_page_is_found(self):
        self.tool(FREE)
        before = page.text
        page.text = "Apples cost 4 euros."
        self.addCleanup(setattr, page, "text", before)
        self.called("getWatch", uuid=watched, recheck="1")
        history = until("the change", lambda: self.two_snapshots())
        difference = self.called("getWatchHistoryDiff", uuid=watched, from_timestamp="previous", to_timestamp="latest")
        self.assertTrue("3 euros" in difference["data"] and "4 euros" in difference["data"], difference)
        # By its time, too, which is a number.
        first = self.called("getWatchSnapshot", uuid=watched, timestamp=int(min(history)))
        self.assertEqual(first["data"].strip(), "Apples cost 3 euros.")

    def two_snapshots(self):
        history = self.called("getWatchHistory", uuid=watched)["data"]
        return history if len(history) > 1 else None

    def test_what_is_wanted_of_an_answer_is_kept(self):
        self.tool(
            "[operation.listWatches]",
            'keep = "$[*].url"',
            "[operation.getWatch]",
            'keep = { title = "$.page_title", hours = "$.time_between_check.hours", lost = "$.nowhere" }',
            "[operation.getFullApiSpec]",
            "max_tokens = 100",
        )
        self.assertIn(page.url, self.called("listWatches")["data"])
        content = self.called("getWatch", uuid=watched)
        self.assertEqual(content["data"], {"title": "Prices", "hours": None, "lost": None})
        self.assertIn("$.nowhere", content["note"])
        content = self.called("getFullApiSpec")
        self.assertLess(len(content["data"]), 1000)
        self.assertIn("100 tokens", content["note"])

    def test_arguments_that_do_not_fit_are_refused_by_name(self):
        self.tool(FREE)
        before = service.json("/watch").keys()
        wrong = [
            ("createWatch", {"title": "No address"}, ["url"]),
            ("createWatch", {"url": page.url, "colour": "red"}, ["colour"]),
            ("createWatch", {"url": page.url, "notification_format": "pdf"}, ["/notification_format", "html"]),
            ("createWatch", {"url": page.url, "time_between_check": {"hours": -1}}, ["/time_between_check/hours"]),
            ("createWatch", {"url": page.url, "conditions": [{"field": "page_title"}]}, ["/conditions/0", "operator"]),
            ("createWatch", {"url": ["http://a.example/"]}, ["/url"]),
            ("createWatch", {"url": page.url, "uuid": NOBODY}, ["uuid"]),
            ("getWatch", {"uuid": watched, "paused": "perhaps"}, ["/paused", "unpaused"]),
            ("searchWatches", {}, ["q"]),
        ]
        with self.served() as ask:
            for operation, arguments, parts in wrong:
                code, words = self.refused(operation, arguments)
                status, body = self.function(ask, operation, **arguments)
                told = [(code, words), (body["error"]["code"], body["error"]["message"])]
                for code, words in told:
                    self.assertEqual((status, code), (400, "invalid_request"), words)
                    for part in parts:
                        self.assertIn(part, words)
        self.assertEqual(service.json("/watch").keys(), before)

    def test_small_slips_are_mended(self):
        self.tool(FREE)
        made = self.called("createWatch", url=page.url, title=42, paused="True", tags="news")["data"]["uuid"]
        self.addCleanup(self.called, "deleteWatch", uuid=made)
        kept = service.json(f"/watch/{made}")
        self.assertEqual((kept["title"], kept["paused"], kept["tags"]), ("42", True, ["news"]))
        # A number for the address is taken for a text, and refused by the service alone.
        code, words = self.refused("createWatch", {"url": 42})
        self.assertEqual((code, "answered 400" in words), ("invalid_request", True), words)

    def test_a_refusal_is_told_in_the_services_words(self):
        self.tool(FREE)
        code, words = self.refused("createWatch", {"url": "file:///etc/passwd"})
        self.assertEqual(code, "invalid_request")
        self.assertRegex(words, r"`watch/createWatch` answered 400 .*URL")
        code, words = self.refused("getWatch", {"uuid": NOBODY})
        self.assertEqual((code, NOBODY in words), ("not_found", True), words)
        code, words = self.refused("listWatches", {}, WATCH_KEY="wrong")
        self.assertEqual((code, "API key invalid" in words), ("forbidden", True), words)
        code, words = self.refused("listWatches", {}, WATCH_KEY="")
        self.assertEqual((code, "WATCH_KEY" in words), ("unauthorized", True), words)


class Approvals(Application):
    """What changes something waits for a person, unless the file says otherwise."""

    def test_on_the_command_line(self):
        self.tool()
        code, words = self.refused("createTag", {"title": "weekly"})
        self.assertEqual((code, "approval-" in words), ("approval_needed", True))
        self.assertNotIn("weekly", self.titles())
        [waiting] = self.praxis("approvals", "list")["approvals"]
        self.assertEqual((waiting["function"], waiting["arguments"]), ("watch/createTag", {"title": "weekly"}))
        self.praxis("approvals", "approve", waiting["id"])
        # Only these arguments were approved.
        self.assertEqual(self.refused("createTag", {"title": "daily"})[0], "approval_needed")
        made = self.called("createTag", title="weekly")
        self.assertEqual((made["status"], self.titles().count("weekly")), (201, 1))
        self.assertEqual(self.refused("createTag", {"title": "weekly"})[0], "approval_needed")

    def test_over_http(self):
        self.tool()
        with self.served() as ask:
            status, body = self.function(ask, "createTag", title="monthly")
            self.assertEqual((status, body["error"]["code"]), (403, "approval_needed"))
            details = body["error"]["details"]
            self.assertEqual((details["state"], details["arguments"]), ("pending", {"title": "monthly"}))
            self.assertNotIn("monthly", self.titles())
            status, body = ask(f"/praxis/v1/approvals/{details['approval']}", {"decision": "approve"})
            self.assertEqual(status, 200, body)
            status, body = self.function(ask, "createTag", title="monthly")
            self.assertEqual((status, self.titles().count("monthly")), (200, 1), body)
            self.assertEqual(self.function(ask, "createTag", title="monthly")[0], 403)

    def test_a_get_that_changes_something_can_be_said_to(self):
        # `GET /watch/{uuid}?paused=paused` pauses.
        self.tool(
            "[policy.effects]",
            '"watch/getWatch" = ["write", "external"]',
            "[[policy.rules]]",
            'function = "watch/getTag"',
            'when = [{ argument = "muted", one_of = ["muted", "unmuted"] }]',
            'approval = "deny"',
        )
        self.assertEqual(self.tools()["getWatch"]["effects"], ["write", "external"])
        self.assertEqual(self.refused("getWatch", {"uuid": watched, "paused": "paused"})[0], "approval_needed")
        self.assertFalse(service.json(f"/watch/{watched}")["paused"])
        code, _ = self.refused("getTag", {"uuid": NOBODY, "muted": "muted"})
        self.assertEqual(code, "denied")
        self.assertEqual(self.refused("getTag", {"uuid": NOBODY})[0], "not_found")

    def titles(self):
        return [tag["title"] for tag in service.json("/tags").values()]


class Changes(Application):
    """The service goes away, and comes back as another."""

    def test_a_service_that_is_down_is_told_and_takes_no_function_away(self):
        self.tool()
        before = self.tools()
        with self.served() as ask:
            self.assertEqual(self.function(ask, "listWatches")[0], 200)
            service.stop()
            try:
                status, body = self.function(ask, "listWatches")
                self.assertEqual((status, body["error"]["code"]), (502, "upstream_error"))
                self.assertIn("127.0.0.1", body["error"]["message"])
                code, words = self.refused("listWatches", {})
                self.assertEqual((code, "does not answer" in words), ("upstream_error", True), words)
                self.assertEqual(self.tools(), before)
                names, said = self.refreshed()
                self.assertEqual((set(names), len(said)), (set(before), 1))
                self.assertTrue("gives no document" in said[0] and "copy" in said[0], said)
            finally:
                service.start()
            self.assertEqual(self.function(ask, "listWatches")[0], 200)

    def test_a_service_that_was_never_there_is_a_warning(self):
        self.tool()
        service.stop()
        try:
            self.assertEqual(self.tools(), {})
            ended = self.run_praxis("tools", "refresh", "watch")
            self.assertNotEqual(ended.returncode, 0, ended.stdout)
            said = [one["message"] for one in json.loads(ended.stdout)["error"]["diagnostics"]]
            self.assertEqual(len(said), 2, said)
            self.assertTrue("gives no document" in said[0] and "gave no tools" in said[1], said)
        finally:
            service.start()
        self.assertIn("listWatches", self.refreshed()[0])

    def test_a_document_that_changed_is_read_anew(self):
        self.tool(operations=("createWatch", "listWatches"))
        argument = "processor_config_words"
        self.assertNotIn(argument, self.create()["properties"])
        plugins = pathlib.Path(folder.name, "plugins")
        for name, text in PLUGIN.items():
            (plugins / name).parent.mkdir(parents=True, exist_ok=True)
            (plugins / name).write_text(text, encoding="utf-8")
        service.stop()
        try:
            service.start(plugins=plugins)
            self.assertEqual(self.refreshed(), (["createWatch", "listWatches"], []))
            added = self.create()["properties"][argument]
            self.assertEqual(added["properties"]["least"]["minimum"], 1)
            code, words = self.refused("createWatch", {"url": page.url, argument: {"least": 0}})
            self.assertEqual((code, f"/{argument}/least" in words), ("invalid_request", True), words)
        finally:
            service.stop()
            service.start()
        # And what is gone is gone.
        self.refreshed()
        self.assertNotIn(argument, self.create()["properties"])
        self.assertIn(argument, self.refused("createWatch", {"url": page.url, argument: {}})[1])

    def create(self):
        return self.praxis("tools", "show", "watch/createWatch")["input_schema"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
