// Orders, in Node. It carries the request of a person on to inventory: with a
// token of its own making that names both, is for inventory alone, and ends with
// the one that it came from.
const express = require('express');
const { createRemoteJWKSet, jwtVerify } = require('jose');

const issuer = 'http://127.0.0.1:18080';
const gateway = 'http://127.0.0.1:18081';
const keys = createRemoteJWKSet(new URL(`${gateway}/.well-known/symbolon-gateway/jwks.json`));
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';

async function token(form) {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa('orders:orders-secret')}` },
    body: new URLSearchParams(form),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).access_token;
}

/** A person's token, narrowed to inventory, with this service as the actor. */
async function narrowed(presented) {
  const own = await token({ grant_type: 'client_credentials', resource: 'https://orders.example.com' });
  return token({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: presented,
    subject_token_type: accessToken,
    actor_token: own,
    actor_token_type: accessToken,
    resource: 'https://inventory.example.com',
  });
}

const app = express();
app.get('/health', (request, response) => response.send('ok\n'));
app.use(async (request, response, next) => {
  const expected = { typ: 'gateway-assertion+jwt', algorithms: ['ES256'], issuer: 'symbolon-gateway', audience: 'orders' };
  try {
    request.caller = (await jwtVerify(request.get('Symbolon-Assertion') ?? '', keys, expected)).payload;
  } catch {
    response.status(401).json({ error: 'reach this service through the gateway' });
    return;
  }
  next();
});
app.get('/orders/:id', async (request, response) => {
  const onward = await narrowed(request.get('Authorization').slice('Bearer '.length));
  const stock = await fetch(`${gateway}/inventory/${encodeURIComponent(request.params.id)}`, {
    headers: { authorization: `Bearer ${onward}` },
  });
  response.status(stock.status).json({ order: request.params.id, person: request.caller.sub, stock: await stock.json() });
});
app.listen(18087, '127.0.0.1');
