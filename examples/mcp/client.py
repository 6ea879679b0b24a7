"""Lists and calls the tools of an MCP server with the official Python SDK, as it is.

    client.py [--document URL] [--mode legacy] [--print] [ADDRESS]

It finds the authorization server by itself, registers there (or says with
--document where it is described), sends a person to sign in, and goes on.
"""

import argparse
import asyncio
import json
import sys
import urllib.parse
import webbrowser

import httpx2
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


class Memory:
    """Where tokens are kept: here, until the program ends."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback:
    """Waits on this machine for the answer of the authorization server."""

    async def listen(self):
        self.answers = asyncio.Queue()
        self.server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/callback"

    async def take(self, reader, writer):
        line = (await reader.readline()).decode()
        path = line.split(" ")[1] if " " in line else "/"
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 22\r\n\r\nGo back to the program")
        await writer.drain()
        writer.close()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
        if "code" in query or "error" in query:
            await self.answers.put(query)

    async def wait(self):
        query = await asyncio.wait_for(self.answers.get(), 300)
        if "code" not in query:
            raise RuntimeError(f"{query['error']}: {query.get('error_description')}")
        fields = AuthorizationCodeResult.model_fields
        return AuthorizationCodeResult(**{name: query[name] for name in fields if name in query})


def say(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


async def main(arguments):
    callback = Callback()
    redirect_uri = await callback.listen()

    async def sign_in(address):
        say("sign-in", address=address)
        if not arguments.print:
            webbrowser.open(address)

    provider = OAuthClientProvider(
        server_url=arguments.address,
        client_metadata=OAuthClientMetadata(
            client_name="Notes on the command line",
            redirect_uris=[redirect_uri],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        ),
        storage=Memory(),
        redirect_handler=sign_in,
        callback_handler=callback.wait,
        client_metadata_url=arguments.document,
    )
    async with httpx2.AsyncClient(auth=provider, timeout=60, trust_env=False) as http:
        async with Client(streamable_http_client(arguments.address, http_client=http), mode=arguments.mode) as client:
            tools = await client.list_tools()
            say("tools", names=[tool.name for tool in tools.tools])
            for name, given in [
                ("read_note", {"name": "welcome"}),
                ("write_note", {"name": "draft", "text": "a draft"}),
                # Takes a scope more: the SDK sends the person to allow it.
                ("write_note", {"name": "plans", "text": "a plan"}),
                ("delete_everything", {}),
            ]:
                try:
                    result = await client.call_tool(name, given)
                    say("called", name=name, text=result.content[0].text, failed=bool(result.is_error))
                except Exception as error:
                    say("called", name=name, text=str(error), failed=True)
    say("client", id=provider.context.client_info.client_id)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:9200/mcp")
    parser.add_argument("--document", help="where this client is described")
    parser.add_argument("--mode", default="auto", help="`legacy` for the versions before 2026-07-28")
    parser.add_argument("--print", action="store_true", help="open no browser")
    sys.exit(asyncio.run(main(parser.parse_args())))
