"""Holds answers to OpenAI's own description of its API, where that is at hand: the file
`shared/conformance/openai-openapi.yaml` beside the repository. Without it, answers are read by the SDK alone.
"""

import json
import re
import sys

PARTS = [
    "/audio", "/batches", "/chat/completions", "/completions", "/conversations", "/embeddings", "/files",
    "/models", "/moderations", "/organization/usage", "/organization/costs", "/responses", "/uploads",
    "/vector_stores",
]


def checker(root):
    """A hook of httpx that fails where an answer is not what the description says."""
    path = root.parent / "shared/conformance/openai-openapi.yaml"
    if not path.exists():
        print(f"SKIPPED: answers are not held to the description: no {path}", file=sys.stderr)
        return lambda response: None
    import jsonschema
    import yaml

    with open(path, encoding="utf-8") as file:
        description = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    # Paths without parameters come first: `/files/{id}` must not stand for others.
    paths = [p for p in description["paths"] if any(p.startswith(part) for part in PARTS)]
    paths.sort(key=lambda p: "{" in p)
    patterns = [(re.compile("/v1" + re.sub(r"{\w+}", "[^/]+", p) + "$"), p) for p in paths]

    # The schema of each event of a stream, by its type.
    events, schemas = {}, description["components"]["schemas"]
    for option in schemas["ResponseStreamEvent"]["anyOf"]:
        [kind] = schemas[option["$ref"].rsplit("/", 1)[1]]["properties"]["type"]["enum"]
        held = {"$ref": option["$ref"], "components": description["components"]}
        events[kind] = jsonschema.Draft202012Validator(held)

    def check_events(response):
        response.read()
        for line in response.text.split("\n"):
            if line.startswith("data:"):
                event = json.loads(line[len("data:") :])
                errors = [f"{e.json_path}: {e.message}" for e in events[event["type"]].iter_errors(event)]
                assert not errors, f"{event['type']}: {errors}: {line}"

    def check(response):
        if response.status_code != 200:
            return
        request = response.request
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            if request.url.path.startswith("/v1/responses"):
                check_events(response)
            return
        for pattern, path in patterns:
            if not pattern.match(request.url.path):
                continue
            operation = description["paths"][path][request.method.lower()]
            content = operation["responses"]["200"].get("content", {})
            schema = content.get("application/json", {}).get("schema")
            if schema is None or schema.get("type") == "string":
                return
            response.read()
            whole = {**schema, "components": description["components"]}
            errors = list(jsonschema.Draft202012Validator(whole).iter_errors(response.json()))
            told = [f"{error.json_path}: {error.message}" for error in errors]
            assert not errors, f"{request.method} {path}: {told}: {response.text}"
            return
        raise AssertionError(f"{request.method} {request.url.path} is not in the description")

    return check
