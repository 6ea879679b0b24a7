"""Notes, as an MCP server: it knows nothing of tokens. The gateway before it does."""

import sys

from mcp.server.mcpserver import MCPServer

notes = {"welcome": "Symbola were tokens broken in two."}
server = MCPServer("notes", instructions="Keeps short notes.")


@server.tool()
def read_note(name: str) -> str:
    """Reads a note."""
    return notes.get(name, "there is no such note")


@server.tool()
def write_note(name: str, text: str) -> str:
    """Writes a note."""
    notes[name] = text
    return f"wrote {name}"


@server.tool()
def delete_everything() -> str:
    """Deletes every note. No rule of the gateway names this tool."""
    notes.clear()
    return "nothing is left"


@server.resource("note://welcome")
def welcome() -> str:
    """The first note."""
    return notes["welcome"]


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9300
    server.run("streamable-http", host="127.0.0.1", port=port)
