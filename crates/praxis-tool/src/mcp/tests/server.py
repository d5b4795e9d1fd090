"""A server of MCP that is a program: one JSON-RPC message a line (revision 2025-06-18, "stdio").

It connects to the port of its first argument and holds the connection as long as it runs.
"""

import json
import os
import socket
import sys

alive = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("noise on standard error", file=sys.stderr, flush=True)


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "program", "version": "1"},
        }
    if method == "tools/list":
        schema = {"type": "object", "properties": {}}
        return {
            "tools": [
                {"name": "where", "description": "Tells where it runs.", "inputSchema": schema},
                {"name": "end", "description": "Ends.", "inputSchema": schema},
            ]
        }
    if method == "tools/call" and params["name"] == "where":
        told = {"environment": dict(os.environ), "folder": os.getcwd(), "arguments": sys.argv[2:]}
        return {"content": [{"type": "text", "text": json.dumps(told)}]}
    if method == "tools/call":
        sys.exit(0)
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    result = answer(message["method"], message.get("params", {}))
    if result is None:
        reply["error"] = {"code": -32601, "message": "no such method"}
    else:
        reply["result"] = result
    print(json.dumps(reply), flush=True)
