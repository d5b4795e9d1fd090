"""Holds answers to Praxis's own description of its API: the document that the server itself serves.

Stricter than the document, which lets clients expect more fields one day: an answer may have no field today that is
not described, unless its object says that it may.
"""

import copy
import json
import re
import urllib.request

import jsonschema

METHODS = ["get", "post", "delete", "put", "patch"]


def load(url, key=None):
    """The document of a server."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/openapi.json", headers=headers)) as page:
        return json.load(page)


class Checker:
    """A hook of httpx that fails where an answer is not what the document says."""

    def __init__(self, document):
        self.document = document
        closed = copy.deepcopy(document["components"])
        # What the application's functions take and give is theirs to say.
        close([schema for name, schema in closed["schemas"].items() if not name.startswith("function.")])
        self.components = {True: closed, False: document["components"]}
        # A path without parameters stands before those that it fits.
        paths = sorted(document["paths"], key=lambda path: path.count("{"))
        self.patterns = [(re.compile(pattern(path)), path) for path in paths]
        # Each operation that was asked, with the statuses of its answers.
        self.seen = {}

    def __call__(self, response):
        request = response.request
        method = request.method.lower()
        path = self.path_of(request.url.raw_path.decode().split("?")[0])
        response.read()
        where = f"{request.method} {request.url.path} -> {response.status_code}"
        assert response.headers.get("x-request-id"), f"{where}: no x-request-id"
        operation = self.document["paths"].get(path, {}).get(method)
        if operation is None:
            wanted = 404 if path is None else 405
            assert response.status_code == wanted, f"{where} is not in the document"
            self.fits(response.json(), {"$ref": "#/components/schemas/Error"}, where)
            return
        self.seen.setdefault(operation["operationId"], set()).add(response.status_code)
        answer = operation["responses"].get(str(response.status_code))
        assert answer is not None, f"{where} is not among the answers: {response.text[:400]}"
        if "$ref" in answer:
            answer = self.components[False]["responses"][answer["$ref"].rsplit("/", 1)[1]]
        media_type = response.headers.get("content-type", "").split(";")[0]
        assert media_type in answer["content"], f"{where}: {media_type} is not described"
        for name in response.headers:
            is_ours = name.startswith(("x-ratelimit-", "openai-")) or name in ["retry-after", "x-request-id"]
            assert not is_ours or name in answer["headers"], f"{where}: header {name} is not described"
        schema = answer["content"][media_type].get("schema", {})
        if media_type == "application/json":
            self.fits(response.json(), schema, where)
        elif media_type == "text/event-stream":
            for event in events(response.text):
                self.fits(event, schema, where)
        if response.status_code == 200:
            self.check_request(request, operation, where)

    def check_request(self, request, operation, where):
        """What was taken is what the document lets clients send."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        sent = request.headers.get("content-type", "").startswith("application/json")
        if content and sent and request.content:
            self.fits(json.loads(request.content), content["schema"], f"{where}, its body", strict=False)

    def fits(self, value, schema, where, strict=True):
        if strict:
            schema = copy.deepcopy(schema)
            close(schema)
        whole = {**schema, "components": self.components[strict]}
        validator = jsonschema.Draft202012Validator(whole)
        told = [f"{error.json_path}: {error.message}"[:600] for error in validator.iter_errors(value)]
        # Events carry JSON in a text.
        inner = content_of(self.document, schema, value)
        if not told and inner is not None:
            name, data, inside = inner
            return self.fits(json.loads(data), inside, f"{where}, data of {name}", strict)
        assert not told, f"{where}: {told}: {json.dumps(value)[:600]}"

    def path_of(self, path):
        found = (template for regex, template in self.patterns if regex.match(path))
        return next(found, None)

    def unasked(self, prefix):
        """Operations below a path of the document that nobody asked for."""
        all_of_them = (
            (f"{method} {path}", operation)
            for path, methods in self.document["paths"].items() if path.startswith(prefix)
            for method, operation in methods.items() if method in METHODS
        )
        return [name for name, operation in all_of_them if operation["operationId"] not in self.seen]


def pattern(path):
    return "^" + "".join(
        "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", path)
    ) + "$"


def close(schema):
    """Lets objects have no other fields than those that are described, unless they say so."""
    if isinstance(schema, list):
        for inner in schema:
            close(inner)
    if isinstance(schema, dict):
        says = {"additionalProperties", "unevaluatedProperties", "allOf"}
        if isinstance(schema.get("properties"), dict) and not says & schema.keys():
            schema["additionalProperties"] = False
        for inner in schema.values():
            close(inner)


def events(text):
    """The events of a stream; comments and empty lines say nothing."""
    for block in text.split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n") if line and not line.startswith(":")]
        event = {}
        for name, _, value in fields:
            value = value.removeprefix(" ")
            event[name] = f"{event[name]}\n{value}" if name in event else value
        if event:
            yield event


def content_of(document, schema, event):
    """The data of a named event, and the schema that it has; None for anything else."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(event, dict) or "event" not in event:
        return None
    for choice in schema.get("oneOf", []):
        fields = choice.get("properties", {})
        inside = fields.get("data", {}).get("contentSchema")
        if inside and fields.get("event", {}).get("const") == event["event"]:
            return event["event"], event["data"], inside
    return None
