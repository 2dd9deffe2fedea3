// The document's prose: what the API is, how to sign in, and what holds for every operation, said once.
import type { oas31 } from 'zod-openapi';
import { MAX_BODY_BYTES } from '../body.ts';

/** In the order in which they are shown; every operation has one of them. */
export const tags: oas31.TagObject[] = [
  {
    name: 'auth',
    'x-displayName': 'Authentication',
    description: 'Signing in and out, who is signed in, the password, sessions, API tokens, and what happened.',
  },
  {
    name: 'client',
    'x-displayName': 'Client',
    description: 'What who is signed in can see of itself and of the server.',
  },
  {
    name: 'forward-auth',
    'x-displayName': 'Forward-auth',
    description: 'For reverse proxies: who may pass to other applications.',
  },
];

/** Markdown. */
export function describeApi({ publicUrl }: { publicUrl: string }): string {
  return `BackChannel puts one master password in front of everything that you run. This is its API over plain HTTP.

# Signing in

**In a browser**, at \`/login\`; or at \`/docs\`: open *Sign in with the master password*, put your password in, and execute
it. The browser keeps the session in a cookie that no script can read, and sends it with every call from then on.

**In a shell**, curl keeps the cookie in a file:

\`\`\`sh
curl -c cookies -H 'Content-Type: application/json' -d '{"password": "YOUR PASSWORD"}' ${publicUrl}/api/v1/auth/login
curl -b cookies ${publicUrl}/api/v1/auth/me
\`\`\`

Making an API token asks for a session that is fresh: one that showed the password within STEP_UP_MINUTES. To any other
it answers \`STEP_UP_REQUIRED\`; after \`POST /auth/step-up\` with the password the session is fresh again.

# API tokens

A program needs no password and no cookie: give it a token of its own. The answer has its \`secret\`, this once.

\`\`\`sh
curl -b cookies -H 'Content-Type: application/json' -d '{"name": "backup script", "scope": "read"}' ${publicUrl}/api/v1/auth/tokens
curl -H 'Authorization: Bearer bct_YOUR_SECRET' ${publicUrl}/api/v1/auth/me
\`\`\`

| Scope | What it opens |
|---|---|
| \`read\` | every \`GET\` of this API |
| \`full\` | the writes, too |
| \`proxy\` | applications behind forward-auth, only at its \`hosts\` where it has some; nothing of this API |

No token makes or revokes tokens, changes the password or steps up. A bearer decides alone: a cookie beside it is ignored.
At \`/docs\`, *Authorize* takes a secret as well.

# What holds for every operation but forward-auth

- Bodies are JSON, in and out, and nothing is converted: \`"5"\` is no number. Unknown fields are refused, in the body and
  in the query string. A body may have ${MAX_BODY_BYTES / 1024} KiB.
- Times are ISO 8601 in UTC. An id names something and opens nothing.
- Every answer has \`X-Request-Id\`, by which the server's log finds it.
- \`HEAD\` answers as \`GET\` does, without the body. \`OPTIONS\` answers 204 with \`Allow\`. Paths are exact.
- A page of another origin can change nothing, unless it has a token or the operator named its origin in ALLOWED_ORIGINS.

# Errors

Every error has one shape, \`{"message", "code"}\`, and for input that is not valid also
\`"issues": [{"path", "message"}]\`. Each operation lists the statuses that it can answer with. Two more belong to no
operation: 404 \`NOT_FOUND\` at a path that is none, and 405 \`METHOD_NOT_SUPPORTED\`, with \`Allow\`, at a path that has
other methods.

# Beside this API

| Address | What it is |
|---|---|
| \`/trpc\` | the same procedures for tRPC clients, by the names that each operation gives |
| \`/\`, \`/login\`, \`/logout\` | pages for people: where one is signed in, to sign in, to sign out |
| \`/healthz\` | 200 as long as the process lives |
| \`/readyz\` | 200 when it can serve, else 503 with \`{"status", "missing": ["database" or "migrations"]}\` |
| \`/docs\`, \`/redoc\`, \`/openapi.json\` | this document: to try out, to read, and for programs |
`;
}
