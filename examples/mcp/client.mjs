// Lists and calls the tools of an MCP server with the official TypeScript SDK, as it is.
//
//     node client.mjs [--document=URL] [--print] [ADDRESS]
//
// It finds the authorization server by itself, registers there (or says with
// --document where it is described), sends a person to sign in, and goes on.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

const given = process.argv.slice(2);
const prints = given.includes('--print');
const document = given.find((own) => own.startsWith('--document='))?.slice('--document='.length);
const address = new URL(given.find((own) => !own.startsWith('--')) ?? 'http://127.0.0.1:9200/mcp');
const say = (what, more) => console.log(JSON.stringify({ what, ...more }));

// Waits on this machine for the answer of the authorization server.
let answered;
const answer = new Promise((resolve) => (answered = resolve));
const callback = createServer((request, response) => {
    const url = new URL(request.url, 'http://127.0.0.1');
    response.setHeader('Connection', 'close');
    response.end('Go back to the program');
    if (url.searchParams.has('code')) answered(url.searchParams);
});
await new Promise((resolve) => callback.listen(0, '127.0.0.1', resolve));
const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`;

// What the SDK asks to be kept: here, until the program ends.
const kept = {};
const provider = {
    redirectUrl,
    clientMetadataUrl: document,
    clientMetadata: {
        client_name: 'Notes in Node',
        redirect_uris: [redirectUrl],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
    },
    state: () => (kept.state ??= crypto.randomUUID()),
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    saveDiscoveryState: (state) => void (kept.discovery = state),
    discoveryState: () => kept.discovery,
    redirectToAuthorization: (url) => {
        say('sign-in', { address: String(url) });
        if (!prints) spawn('xdg-open', [String(url)], { stdio: 'ignore', detached: true }).unref();
    },
};

const connect = async () => {
    const transport = new StreamableHTTPClientTransport(address, { authProvider: provider });
    const client = new Client({ name: 'notes-in-node', version: '1.0.0' });
    try {
        await client.connect(transport);
        return client;
    } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        const parameters = await answer;
        if (parameters.get('state') !== kept.state) throw new Error('the answer is of another sign-in');
        await transport.finishAuth(parameters);
        return connect();
    }
};

const client = await connect();
const { tools } = await client.listTools();
say('tools', { names: tools.map((tool) => tool.name) });
for (const [name, args] of [
    ['read_note', { name: 'welcome' }],
    ['write_note', { name: 'draft', text: 'a draft' }],
    ['delete_everything', {}],
]) {
    try {
        const result = await client.callTool({ name, arguments: args });
        say('called', { name, text: result.content[0].text, failed: result.isError === true });
    } catch (error) {
        say('called', { name, text: error.message, failed: true });
    }
}
say('client', { id: kept.client.client_id });
await client.close();
callback.close();
