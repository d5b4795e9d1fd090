"""OpenAI's description of its API, reduced to what this server serves: reduce.py OPENAI.yaml SERVED.json

Writes the document to standard output, in JSON. OpenAI describes no errors, so each operation gets OpenAI's own shape
of them for all other statuses. Where it contradicts OpenAI's API, it is put right.
"""

import json
import re
import sys

import yaml

METHODS = ["get", "post", "delete", "put", "patch"]


def shape(path):
    """A path whatever its parameters are called."""
    return re.sub(r"{\w+}", "{}", path)


def references(value):
    """Names of the components that a part of the document refers to, by their sections."""
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/components/"):
            yield tuple(reference.split("/")[2:4])
        mapping = value.get("discriminator", {})
        mapping = mapping.get("mapping", {}) if isinstance(mapping, dict) else {}
        for reference in mapping.values():
            yield tuple(reference.split("/")[2:4])
        for inner in value.values():
            yield from references(inner)


def unmapped(value):
    """Drops discriminators without a mapping: their values would be names of schemas, which the API never sends."""
    if isinstance(value, list):
        for inner in value:
            unmapped(inner)
    if isinstance(value, dict):
        if "mapping" not in value.get("discriminator", {"mapping": {}}):
            del value["discriminator"]
        for inner in value.values():
            unmapped(inner)


def corrected(document):
    """Puts right where OpenAI's description contradicts OpenAI's API, and itself."""
    # What may be uploaded is not all among what may come back.
    uploaded = document["components"]["schemas"]["CreateFileRequest"]["properties"]["purpose"]["enum"]
    file = document["components"]["schemas"]["OpenAIFile"]["properties"]["purpose"]["enum"]
    file.extend(purpose for purpose in uploaded if purpose not in file)
    # A file's bytes are called a text in JSON, and nothing is said of streams of completions.
    given = {key: document["paths"][path][method]["responses"]["200"]["content"] for key, path, method in (
        ("file", "/files/{file_id}/content", "get"),
        ("completion", "/completions", "post"),
    )}
    given["file"].clear()
    given["file"]["application/octet-stream"] = {}
    given["completion"]["text/event-stream"] = {}
    unmapped(document)


def main():
    openai_path, served_path = sys.argv[1:]
    with open(openai_path, encoding="utf-8") as file:
        openai = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    with open(served_path, encoding="utf-8") as file:
        served = json.load(file)
    there = {
        (shape(path), method)
        for path, methods in served["paths"].items() for method in methods if method in METHODS
    }
    errors = {
        "description": "An error.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}},
    }
    paths = {}
    for path, methods in openai["paths"].items():
        for method, operation in methods.items():
            if (shape(f"/v1{path}"), method) in there:
                given = {status: answer for status, answer in operation["responses"].items() if status == "200"}
                operation = {**operation, "responses": {**given, "default": errors}}
                shared = {"parameters": methods["parameters"]} if "parameters" in methods else {}
                paths.setdefault(path, shared)[method] = operation
    needed, waiting = set(), list(references(paths))
    while waiting:
        section, name = waiting.pop()
        if (section, name) not in needed:
            needed.add((section, name))
            waiting.extend(references(openai["components"][section][name]))
    components = {}
    for section, name in sorted(needed):
        components.setdefault(section, {})[name] = openai["components"][section][name]
    document = {
        "openapi": openai["openapi"],
        "info": openai["info"],
        "servers": [{"url": "/v1"}],
        "paths": paths,
        "components": components,
    }
    corrected(document)
    json.dump(document, sys.stdout)


main()
