// The prose of the OpenAPI document: what the API is, how to sign in, and the rules for all operations.
import type { oas31 } from 'zod-openapi';
import { MAX_BODY_BYTES } from '../body.ts';

/** In display order. Every operation has one of these tags. */
export const tags: oas31.TagObject[] = [
  {
    name: 'auth',
    'x-displayName': 'Authentication',
    description: 'Signing in and out, the caller, the password, sessions, API tokens, and events.',
  },
  {
    name: 'client',
    'x-displayName': 'Client',
    description: 'What a signed-in client can see about itself and the server.',
  },
  {
    name: 'forward-auth',
    'x-displayName': 'Forward-auth',
    description: 'For reverse proxies: whether to allow a request to another application.',
  },
];

/** Markdown. */
export function describeApi({ publicUrl }: { publicUrl: string }): string {
  return `BackChannel puts one master password in front of everything you run. This is its HTTP API.

# Signing in

**In a browser**, open \`/login\`. Or open *Sign in with the master password* at \`/docs\`, enter your password and execute
the request. The browser stores the session in a cookie that scripts cannot read, and sends it with every request.

**In a shell**, curl stores the cookie in a file:

\`\`\`sh
curl -c cookies -H 'Content-Type: application/json' -d '{"password": "YOUR PASSWORD"}' ${publicUrl}/api/v1/auth/login
curl -b cookies ${publicUrl}/api/v1/auth/me
\`\`\`

Creating an API token requires a recently authenticated session: one whose password was entered within STEP_UP_MINUTES.
Other sessions get \`STEP_UP_REQUIRED\`. Send \`POST /auth/step-up\` with the password, then try again.

# API tokens

Programs need neither the password nor a cookie. Give each program its own token. The response that creates a token is the
only one that contains its \`secret\`.

\`\`\`sh
curl -b cookies -H 'Content-Type: application/json' -d '{"name": "backup script", "scope": "read"}' ${publicUrl}/api/v1/auth/tokens
curl -H 'Authorization: Bearer bct_YOUR_SECRET' ${publicUrl}/api/v1/auth/me
\`\`\`

| Scope | Allows |
|---|---|
| \`read\` | every \`GET\` of this API |
| \`full\` | also the writes |
| \`proxy\` | applications behind forward-auth, limited to the token's \`hosts\` if it has any; nothing in this API |

Tokens cannot create or revoke tokens, change the password or step up. If you send a token, cookies are ignored. At
\`/docs\`, you can enter a token's secret under *Authorize*.

# Rules for all operations except forward-auth

- Request and response bodies are JSON, and nothing is converted: \`"5"\` is not a number. Unknown fields in the body or the
  query string are refused. The largest body is ${MAX_BODY_BYTES / 1024} KiB.
- Times are ISO 8601 in UTC. Ids are public and grant no access.
- Every response has an \`X-Request-Id\`, which also appears in the server's log.
- \`HEAD\` responds like \`GET\`, without the body. \`OPTIONS\` responds with 204 and \`Allow\`. Paths match exactly.
- Pages of another origin cannot change anything, unless they have a token or their origin is in ALLOWED_ORIGINS.

# Errors

Every error has the shape \`{"message", "code"}\`. For invalid input it also has \`"issues": [{"path", "message"}]\`. Each
operation lists its statuses. Two more can occur outside of operations: 404 \`NOT_FOUND\` at an unknown path, and 405
\`METHOD_NOT_SUPPORTED\`, with \`Allow\`, at a path that has other methods.

# Outside of this API

| Address | Purpose |
|---|---|
| \`/trpc\` | the same procedures for tRPC clients; each operation names its procedure |
| \`/\`, \`/login\`, \`/logout\` | pages for people: your sessions, signing in, signing out |
| \`/healthz\` | 200 while the process is running |
| \`/readyz\` | 200 if the server can serve requests, else 503 with \`{"status", "missing": ["database" or "migrations"]}\` |
| \`/docs\`, \`/redoc\`, \`/openapi.json\` | this document: for trying out, for reading, and for programs |
`;
}
