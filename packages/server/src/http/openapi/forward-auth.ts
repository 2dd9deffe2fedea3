// Forward-auth in the OpenAPI document. It is not a procedure: its input and output are headers.
import type { oas31 } from 'zod-openapi';
import type { Config } from '../../config/config.ts';
import { passCookieName } from '../cookies.ts';
import { type createErrorResponses, describeRefusal } from './errors.ts';

/** The pass, which only forward-auth accepts. There is none without COOKIE_DOMAIN. */
export function passScheme(config: Pick<Config, 'cookieName' | 'cookieDomain'>): { pass?: oas31.SecuritySchemeObject } {
  const { cookieDomain } = config;
  if (cookieDomain === null) return {};
  return {
    pass: {
      type: 'apiKey',
      in: 'cookie',
      name: passCookieName(config),
      description: `The cookie that signing in sets for the subdomains of ${cookieDomain}. This API does not accept it.`,
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
    summary: 'Check a request to another application',
    description:
      'A reverse proxy calls this before it forwards a request: nginx with `auth_request`, Caddy with `forward_auth`, ' +
      'Traefik with `ForwardAuth`. **All methods** get the same response, regardless of origin and body. The headers about ' +
      'the original request are trusted only from TRUSTED_PROXIES.\n\n' +
      'Accepts a session, or a token with scope `proxy`, limited to its `hosts` if it has any. Send the token as a bearer ' +
      'token, as the password of HTTP Basic with any user name, or in `X-Backchannel-Token`.',
    tags: ['forward-auth'],
    // Basic is only described in words. A form for it next to the one for tokens would look like one for the master password.
    security: [{ session: [] }, ...(cookieDomain === null ? [] : [{ pass: [] }]), { token: [] }],
    parameters,
    responses: {
      204: { description: 'The request is allowed. The headers describe the caller.', headers: identity },
      302: {
        description:
          'The request is refused, comes from a browser that navigates, and has `redirect=1`. Location is the sign-in page.',
        headers: { Location: { ...location, required: true } },
      },
      401: withPage(describeRefusal('NotSignedIn', { 'WWW-Authenticate': challenge, Location: location })),
      ...errors.ofFailures(),
    },
  };
}

/** A person gets words and a link where a redirect does not help: after sending a form, or in a frame. */
const withPage = (refusal: oas31.ResponseObject): oas31.ResponseObject => ({
  ...refusal,
  content: {
    ...refusal.content,
    'text/html': {
      schema: { type: 'string' },
      example: '<!doctype html><title>Sign in first</title><a href="https://auth.example.com/login">Sign in</a>',
    },
  },
});

const flag = (name: string, description: string): oas31.ParameterObject => ({
  name,
  in: 'query',
  required: false,
  description,
  schema: { type: 'string', enum: ['1'] },
});
const proxyHeader = (name: string, description: string, example: string): oas31.ParameterObject => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
  example,
});

const parameters: oas31.ParameterObject[] = [
  flag('redirect', 'Responds to navigating browsers with 302 instead of 401, for Caddy and Traefik.'),
  flag('basic', 'Also offers HTTP Basic in a 401, first, for programs that support nothing else.'),
  {
    name: 'X-Backchannel-Token',
    in: 'header',
    required: false,
    description:
      'A `proxy` token, for applications that use Authorization themselves. If it is present, other credentials are ignored.',
    schema: { type: 'string' },
  },
  proxyHeader('X-Forwarded-Method', 'The method of the original request.', 'GET'),
  proxyHeader('X-Forwarded-Proto', 'The scheme of the original request.', 'https'),
  proxyHeader(
    'X-Forwarded-Host',
    'The host of the original request, with the port unless it is the default.',
    'photos.example.com',
  ),
  proxyHeader('X-Forwarded-Uri', 'The path and query of the original request.', '/albums?year=2026'),
  proxyHeader('X-Original-Method', 'Like X-Forwarded-Method. Only read if there are no X-Forwarded-* headers.', 'GET'),
  proxyHeader(
    'X-Original-URL',
    'The whole address of the original request. Only read if there are no X-Forwarded-* headers.',
    'https://photos.example.com/albums?year=2026',
  ),
];

const identity: Record<string, oas31.HeaderObject> = {
  'Remote-User': {
    description: 'The value of OPERATOR_NAME.',
    required: true,
    schema: { type: 'string', minLength: 1 },
    example: 'operator',
  },
  'Remote-Email': {
    description: 'The value of OPERATOR_EMAIL, if it is set.',
    schema: { type: 'string', minLength: 1 },
    example: 'operator@example.com',
  },
  'X-Auth-Method': {
    description: 'The kind of credential.',
    required: true,
    schema: { type: 'string', enum: ['session', 'token'] },
    example: 'session',
  },
  'X-Auth-Session': {
    description: "The session's id, or `-` for a token.",
    required: true,
    schema: { type: 'string', pattern: '^([0-9a-f]{24}|-)$' },
    example: '8f1d3a5c7b9e0f2a4c6d8e01',
  },
};

const challenge: oas31.HeaderObject = {
  description:
    'With `basic=1`, first a challenge for HTTP Basic: `Basic realm="backchannel", charset="UTF-8", Bearer …`.',
  required: true,
  schema: { type: 'string' },
  example: 'Bearer realm="backchannel"',
};

const location: oas31.HeaderObject = {
  description:
    'The sign-in page, with the address to return to. Only for navigating browsers (RFC 9110, 10.2.2). It has at most 7,500 ' +
    'bytes: a longer address to return to is left out.',
  schema: { type: 'string', format: 'uri' },
  example: 'https://auth.example.com/login?next=https%3A%2F%2Fphotos.example.com%2Falbums%3Fyear%3D2026',
};
