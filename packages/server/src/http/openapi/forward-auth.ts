// Forward-auth in the document. It is no procedure: proxies call it, by headers, and read headers.
import type { oas31 } from 'zod-openapi';
import { PASS_COOKIE } from '../cookies.ts';
import { type createErrorResponses, describeRefusal } from './errors.ts';

/** The cookie that opens forward-auth and nothing else; none without COOKIE_DOMAIN. */
export function passScheme(cookieDomain: string | null): { pass?: oas31.SecuritySchemeObject } {
  if (cookieDomain === null) return {};
  return {
    pass: {
      type: 'apiKey',
      in: 'cookie',
      name: PASS_COOKIE,
      description: `The cookie that signing in sets for the subdomains of ${cookieDomain}. It opens nothing of this API.`,
    },
  };
}

export function describeForwardAuth(options: {
  cookieDomain: string | null;
  errors: ReturnType<typeof createErrorResponses>;
}): oas31.OperationObject {
  const { cookieDomain, errors } = options;
  return {
    operationId: 'authVerify',
    summary: 'Whether a request to another application may pass',
    description:
      'For a reverse proxy, which asks here about each request before it hands it on: nginx with `auth_request`, Caddy ' +
      'with `forward_auth`, Traefik with `ForwardAuth`. **Every method** is answered alike, whatever its origin and its ' +
      'body. The headers about the original request are believed only from TRUSTED_PROXIES.\n\n' +
      'For a session, or a token of scope `proxy`, at its `hosts` where it has some: as a bearer, as the password of HTTP ' +
      'Basic under any name, or in `X-Backchannel-Token`.',
    tags: ['forward-auth'],
    // Basic is left to words: a form for it, beside the one for tokens, would be taken for the master password's.
    security: [{ session: [] }, ...(cookieDomain === null ? [] : [{ pass: [] }]), { token: [] }],
    parameters,
    responses: {
      204: { description: 'It may pass. The headers say who it is, all of them each time.', headers: identity },
      302: {
        description: 'It may not pass, a person is looking, and `redirect=1` was asked for: where to sign in.',
        headers: { Location: { ...location, required: true } },
      },
      401: describeRefusal('NotSignedIn', { 'WWW-Authenticate': challenge, Location: location }),
      ...errors.ofFailures(),
    },
  };
}

const flag = (name: string, description: string): oas31.ParameterObject => ({
  name,
  in: 'query',
  required: false,
  description,
  schema: { type: 'string', enum: ['1'] },
});
const told = (name: string, description: string, example: string): oas31.ParameterObject => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
  example,
});

const parameters: oas31.ParameterObject[] = [
  flag('redirect', 'Answers a person with 302 in place of 401, for Caddy and Traefik.'),
  flag('basic', 'Asks for HTTP Basic, too, where it refuses: for programs that know nothing else.'),
  {
    name: 'X-Backchannel-Token',
    in: 'header',
    required: false,
    description: 'A `proxy` token, for applications that have a use for Authorization themselves. It decides alone.',
    schema: { type: 'string' },
  },
  told('X-Forwarded-Method', 'The method of the original request.', 'GET'),
  told('X-Forwarded-Proto', 'Its scheme.', 'https'),
  told('X-Forwarded-Host', 'Its host, with the port where that is not the usual one.', 'photos.example.com'),
  told('X-Forwarded-Uri', 'Its path and query.', '/albums?year=2026'),
  told('X-Original-Method', 'As X-Forwarded-Method, and read only where no X-Forwarded-* is there.', 'GET'),
  told(
    'X-Original-URL',
    'Its whole address, read only where no X-Forwarded-* is there.',
    'https://photos.example.com/albums?year=2026',
  ),
];

const identity: Record<string, oas31.HeaderObject> = {
  'Remote-User': {
    description: 'OPERATOR_NAME.',
    required: true,
    schema: { type: 'string', minLength: 1 },
    example: 'operator',
  },
  'Remote-Email': {
    description: 'OPERATOR_EMAIL, where that is set.',
    schema: { type: 'string', minLength: 1 },
    example: 'operator@example.com',
  },
  'X-Auth-Method': {
    description: 'What it was let in with.',
    required: true,
    schema: { type: 'string', enum: ['session', 'token'] },
    example: 'session',
  },
  'X-Auth-Session': {
    description: "The session's id, `-` for a token.",
    required: true,
    schema: { type: 'string', pattern: '^([0-9a-f]{24}|-)$' },
    example: '8f1d3a5c7b9e0f2a4c6d8e01',
  },
};

const challenge: oas31.HeaderObject = {
  description: 'With `basic=1` also one for HTTP Basic.',
  required: true,
  schema: { type: 'string' },
  example: 'Bearer realm="backchannel"',
};

const location: oas31.HeaderObject = {
  description: 'Where to sign in, and what to come back to; only for a person who is looking (RFC 9110, 10.2.2).',
  schema: { type: 'string', format: 'uri' },
  example: 'https://auth.example.com/login?next=https%3A%2F%2Fphotos.example.com%2Falbums%3Fyear%3D2026',
};
