// A service in Node behind the gateway. It checks no token: it believes the
// gateway's word about who calls, and nobody else's.
const { createHash } = require('node:crypto');
const express = require('express');
const { createRemoteJWKSet, jwtVerify } = require('jose');

const keys = createRemoteJWKSet(new URL('http://127.0.0.1:18081/.well-known/symbolon-gateway/jwks.json'));
const expected = { typ: 'gateway-assertion+jwt', algorithms: ['ES256'], issuer: 'symbolon-gateway', audience: 'orders' };

async function asserted(request, response, next) {
  try {
    const { payload } = await jwtVerify(request.get('Symbolon-Assertion') ?? '', keys, expected);
    const target = createHash('sha256').update(request.originalUrl).digest('base64url');
    if (payload.htm !== request.method || payload.target_sha256 !== target) throw new Error('another request');
    request.caller = payload;
    next();
  } catch {
    response.status(401).json({ error: 'reach this service through the gateway' });
  }
}

const app = express();
app.get('/health', (request, response) => response.send('ok\n'));
app.use(asserted);
app.get('/orders/:id', (request, response) => response.json({ order: request.params.id, caller: request.caller.client_id }));
app.listen(18089, '127.0.0.1');
